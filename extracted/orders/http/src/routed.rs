//! The routed form: orders on both sides.

use std::collections::BTreeMap;

use async_trait::async_trait;
use banyan_kernel::{Answer, Context, CustomerId, OrderId};
use banyan_net::route::Route;
use orders_api::{
    ListOrders, ListSales, OpenOrders, OrderEventView, OrderFact, OrderFacts, OrderView, Orders, OrdersPage,
    PlaceOrder, Placed, RefusedStep, Resolution, SalesPage, Settled, Why,
};

use crate::{
    Served,
    questions::{ListingPage, SalesListingPage},
};

/// Orders here and elsewhere: what is of one goes by its id, so that a customer's page of several may come from either side.
pub struct RoutedOrders(pub Route<Served>);

#[async_trait]
impl Orders for RoutedOrders {
    async fn place(&self, batch: Vec<PlaceOrder>) -> Vec<Answer<Placed>> {
        let ask = |side: Served, batch| async move { side.orders.place(batch).await };
        self.0.each(batch, |wish| wish.order.to_string(), ask).await
    }

    async fn cancel(&self, order: OrderId, reason: String, context: Context) -> Answer<OrderView> {
        let ask = |side: Served, reason| async move { side.orders.cancel(order, reason, context).await };
        self.0.change(Some(&order.to_string()), reason, ask).await
    }

    async fn resolve(
        &self,
        order: OrderId,
        how: Resolution,
        reason: String,
        context: Context,
    ) -> Answer<OrderView> {
        let ask =
            |side: Served, reason| async move { side.orders.resolve(order, how, reason, context).await };
        self.0.change(Some(&order.to_string()), reason, ask).await
    }

    async fn view(&self, orders: Vec<OrderId>, reader: Option<CustomerId>) -> Answer<Vec<OrderView>> {
        let key = orders.first().map(ToString::to_string);
        let ask = move |side: Served, orders| async move { side.orders.view(orders, reader).await };
        self.0.read("view", key.as_deref(), orders, ask).await
    }

    async fn list(&self, which: ListOrders) -> Answer<OrdersPage> {
        let ask = |side: Served, which| async move { side.orders.list(which).await.map(ListingPage::from) };
        self.0.read("list", None, which, ask).await.map(OrdersPage::from)
    }

    async fn sales(&self, which: ListSales) -> Answer<SalesPage> {
        let ask =
            |side: Served, which| async move { side.orders.sales(which).await.map(SalesListingPage::from) };
        self.0.read("sales", None, which, ask).await.map(SalesPage::from)
    }

    async fn events(&self, order: OrderId, after: i64) -> Answer<Vec<OrderEventView>> {
        let ask = move |side: Served, order| async move { side.orders.events(order, after).await };
        self.0.read("events", Some(&order.to_string()), order, ask).await
    }

    async fn why(&self, order: OrderId) -> Answer<Why> {
        let ask = |side: Served, order| async move { side.orders.why(order).await };
        self.0.read("why", Some(&order.to_string()), order, ask).await
    }

    async fn stuck(&self) -> Answer<Vec<Why>> {
        self.0.read("stuck", None, (), |side: Served, ()| async move { side.orders.stuck().await }).await
    }
}

#[async_trait]
impl OrderFacts for RoutedOrders {
    async fn page_end(&self, after: OrderId, limit: u16) -> Answer<Option<OrderId>> {
        let ask = move |side: Served, ()| async move { side.facts.page_end(after, limit).await };
        self.0.read("page-end", None, (), ask).await
    }

    async fn facts(&self, after: OrderId, upto: OrderId) -> Answer<Vec<OrderFact>> {
        let ask = move |side: Served, ()| async move { side.facts.facts(after, upto).await };
        self.0.read("facts", None, (), ask).await
    }

    async fn sales_violations(&self) -> Answer<Vec<String>> {
        self.0
            .read("sales-violations", None, (), |side: Served, ()| async move {
                side.facts.sales_violations().await
            })
            .await
    }

    async fn settled(&self, orders: Vec<OrderId>) -> Answer<Vec<Settled>> {
        let ask = |side: Served, orders| async move { side.facts.settled(orders).await };
        self.0.read("settled", None, orders, ask).await
    }

    async fn refusals(&self) -> Answer<BTreeMap<String, RefusedStep>> {
        self.0.read("refusals", None, (), |side: Served, ()| async move { side.facts.refusals().await }).await
    }

    async fn open(&self) -> Answer<Vec<OpenOrders>> {
        self.0.read("open", None, (), |side: Served, ()| async move { side.facts.open().await }).await
    }
}
