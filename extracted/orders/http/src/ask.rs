//! The client: orders that are elsewhere.

use std::collections::BTreeMap;

use async_trait::async_trait;
use banyan_kernel::{Answer, Context, CustomerId, OrderId, TraceParent};
use banyan_net::port::PortClient;
use orders_api::{
    ListOrders, ListSales, OpenOrders, OrderEventView, OrderFact, OrderFacts, OrderView, Orders, OrdersPage,
    PlaceOrder, Placed, RefusedStep, Resolution, SalesPage, Settled, Why,
};
use uuid::Uuid;

use crate::questions::{
    After, Cancel, Facts, Listing, ListingPage, Nothing, OfOrder, OfOrders, PageEnd, Resolve, SalesListing,
    SalesListingPage, Viewed, Wishes,
};

/// Of one call: with as many lines as an order may have they are well below the most that a body may be.
const WISHES_MAX: usize = 150;

/// Orders by HTTP.
pub struct HttpOrders(pub PortClient);

/// Reading belongs to no trace that anybody collects.
fn nobodys() -> TraceParent {
    TraceParent::root(Uuid::nil()).unsampled()
}

#[async_trait]
impl Orders for HttpOrders {
    /// More than fit into one call go in several, each a commit of its own; keys tell repeats across them.
    async fn place(&self, batch: Vec<PlaceOrder>) -> Vec<Answer<Placed>> {
        let (mut answers, mut left) = (Vec::with_capacity(batch.len()), batch);
        while !left.is_empty() {
            let later = left.split_off(left.len().min(WISHES_MAX));
            let (trace, items) = (left[0].context.trace, left.len());
            answers.extend(self.0.each("place", trace, items, &Wishes { wishes: left }).await);
            left = later;
        }
        answers
    }

    async fn cancel(&self, order: OrderId, reason: String, context: Context) -> Answer<OrderView> {
        let trace = context.trace;
        self.0.one("cancel", trace, &Cancel { order, reason, context }).await
    }

    async fn resolve(
        &self,
        order: OrderId,
        how: Resolution,
        reason: String,
        context: Context,
    ) -> Answer<OrderView> {
        let trace = context.trace;
        self.0.one("resolve", trace, &Resolve { order, how, reason, context }).await
    }

    async fn view(&self, orders: Vec<OrderId>, reader: Option<CustomerId>) -> Answer<Vec<OrderView>> {
        self.0.one("view", nobodys(), &Viewed { orders, reader }).await
    }

    async fn list(&self, which: ListOrders) -> Answer<OrdersPage> {
        let page: Answer<ListingPage> = self.0.one("list", nobodys(), &Listing::from(which)).await;
        page.map(OrdersPage::from)
    }

    async fn sales(&self, which: ListSales) -> Answer<SalesPage> {
        let page: Answer<SalesListingPage> = self.0.one("sales", nobodys(), &SalesListing::from(which)).await;
        page.map(SalesPage::from)
    }

    async fn events(&self, order: OrderId, after: i64) -> Answer<Vec<OrderEventView>> {
        self.0.one("events", nobodys(), &After { order, after }).await
    }

    async fn why(&self, order: OrderId) -> Answer<Why> {
        self.0.one("why", nobodys(), &OfOrder { order }).await
    }

    async fn stuck(&self) -> Answer<Vec<Why>> {
        self.0.one("stuck", nobodys(), &Nothing {}).await
    }
}

#[async_trait]
impl OrderFacts for HttpOrders {
    async fn page_end(&self, after: OrderId, limit: u16) -> Answer<Option<OrderId>> {
        self.0.one("page-end", nobodys(), &PageEnd { after, limit }).await
    }

    async fn facts(&self, after: OrderId, upto: OrderId) -> Answer<Vec<OrderFact>> {
        self.0.one("facts", nobodys(), &Facts { after, upto }).await
    }

    async fn sales_violations(&self) -> Answer<Vec<String>> {
        self.0.one("sales-violations", nobodys(), &Nothing {}).await
    }

    async fn settled(&self, orders: Vec<OrderId>) -> Answer<Vec<Settled>> {
        self.0.one("settled", nobodys(), &OfOrders { orders }).await
    }

    async fn refusals(&self) -> Answer<BTreeMap<String, RefusedStep>> {
        self.0.one("refusals", nobodys(), &Nothing {}).await
    }

    async fn open(&self) -> Answer<Vec<OpenOrders>> {
        self.0.one("open", nobodys(), &Nothing {}).await
    }
}
