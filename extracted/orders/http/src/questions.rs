//! What is asked, and pages as they go over the wire: a place in a list has names there.

use banyan_kernel::{Context, Currency, CustomerId, OrderId, Sku, Timestamp};
use orders_api::{
    ListOrders, ListSales, OrderState, OrderSummary, OrdersPage, PlaceOrder, Resolution, Sales, SalesPage,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is wished for.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Wishes {
    pub(crate) wishes: Vec<PlaceOrder>,
}

/// Who wants which order undone, and why.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Cancel {
    pub(crate) order: OrderId,
    pub(crate) reason: String,
    pub(crate) context: Context,
}

/// Who gets which order going again, how and why.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Resolve {
    pub(crate) order: OrderId,
    pub(crate) how: Resolution,
    pub(crate) reason: String,
    pub(crate) context: Context,
}

/// About these orders, for a reader or for who may read all.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Viewed {
    pub(crate) orders: Vec<OrderId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reader: Option<CustomerId>,
}

/// About one order.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct OfOrder {
    pub(crate) order: OrderId,
}

/// About these orders.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct OfOrders {
    pub(crate) orders: Vec<OrderId>,
}

/// About what happened to an order after a version.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct After {
    pub(crate) order: OrderId,
    pub(crate) after: i64,
}

/// About a page of orders.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct PageEnd {
    pub(crate) after: OrderId,
    pub(crate) limit: u16,
}

/// Orders with `after < order <= upto`.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Facts {
    pub(crate) after: OrderId,
    pub(crate) upto: OrderId,
}

/// About everything.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Nothing {}

/// Where an order stands in the list.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Place {
    #[serde(with = "banyan_kernel::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub(crate) at: Timestamp,
    pub(crate) order: OrderId,
}

/// An order at a version.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Version {
    pub(crate) order: OrderId,
    pub(crate) version: i64,
}

/// Which orders to list.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Listing {
    /// Whose own orders are all that it learns of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reader: Option<CustomerId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    customer: Option<CustomerId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<OrderState>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sku: Option<Sku>,
    #[serde(with = "banyan_kernel::rfc3339::option", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    placed_from: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Place>,
    limit: u16,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    at_least: Vec<Version>,
}

/// A page of orders.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct ListingPage {
    orders: Vec<OrderSummary>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<Place>,
}

/// Where a line stands in the sales.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct SalesPlace {
    #[serde(with = "banyan_kernel::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    hour: Timestamp,
    sku: Sku,
    currency: Currency,
}

/// Which sales to list.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct SalesListing {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sku: Option<Sku>,
    #[serde(with = "banyan_kernel::rfc3339::option", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<SalesPlace>,
    limit: u16,
}

/// A page of sales.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct SalesListingPage {
    sales: Vec<Sales>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<SalesPlace>,
}

impl From<(Timestamp, OrderId)> for Place {
    fn from((at, order): (Timestamp, OrderId)) -> Self {
        Self { at, order }
    }
}

impl From<Place> for (Timestamp, OrderId) {
    fn from(Place { at, order }: Place) -> Self {
        (at, order)
    }
}

impl From<(Timestamp, Sku, Currency)> for SalesPlace {
    fn from((hour, sku, currency): (Timestamp, Sku, Currency)) -> Self {
        Self { hour, sku, currency }
    }
}

impl From<SalesPlace> for (Timestamp, Sku, Currency) {
    fn from(SalesPlace { hour, sku, currency }: SalesPlace) -> Self {
        (hour, sku, currency)
    }
}

impl From<ListOrders> for Listing {
    fn from(which: ListOrders) -> Self {
        let ListOrders { reader, customer, state, cause, sku, placed_from, before, limit, at_least } = which;
        let at_least = at_least.into_iter().map(|(order, version)| Version { order, version }).collect();
        let before = before.map(Place::from);
        Self { reader, customer, state, cause, sku, placed_from, before, limit, at_least }
    }
}

impl From<Listing> for ListOrders {
    fn from(listing: Listing) -> Self {
        let Listing { reader, customer, state, cause, sku, placed_from, before, limit, at_least } = listing;
        let at_least = at_least.into_iter().map(|Version { order, version }| (order, version)).collect();
        let before = before.map(Place::into);
        Self { reader, customer, state, cause, sku, placed_from, before, limit, at_least }
    }
}

impl From<OrdersPage> for ListingPage {
    fn from(OrdersPage { orders, next }: OrdersPage) -> Self {
        Self { orders, next: next.map(Place::from) }
    }
}

impl From<ListingPage> for OrdersPage {
    fn from(ListingPage { orders, next }: ListingPage) -> Self {
        Self { orders, next: next.map(Place::into) }
    }
}

impl From<ListSales> for SalesListing {
    fn from(ListSales { sku, from, after, limit }: ListSales) -> Self {
        Self { sku, from, after: after.map(SalesPlace::from), limit }
    }
}

impl From<SalesListing> for ListSales {
    fn from(SalesListing { sku, from, after, limit }: SalesListing) -> Self {
        Self { sku, from, after: after.map(SalesPlace::into), limit }
    }
}

impl From<SalesPage> for SalesListingPage {
    fn from(SalesPage { sales, next }: SalesPage) -> Self {
        Self { sales, next: next.map(SalesPlace::from) }
    }
}

impl From<SalesListingPage> for SalesPage {
    fn from(SalesListingPage { sales, next }: SalesListingPage) -> Self {
        Self { sales, next: next.map(SalesPlace::into) }
    }
}
