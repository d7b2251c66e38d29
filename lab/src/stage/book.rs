//! The outside world's own book: what really happened, whatever the shop believes.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Value, json};

const PAGE: u32 = 5_000;

/// A shop's private sandbox.
#[derive(Clone)]
pub struct Outside {
    /// `http://HOST:PORT`.
    pub address: String,
    /// What the shop is known by.
    pub secret: String,
    /// For books and breaks.
    pub control: String,
    http: reqwest::Client,
}

/// What the outside did for one order, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Charges authorised.
    pub authorised: u32,
    /// Of them, given up.
    pub voided: u32,
    /// Charges captured.
    pub captured: u32,
    /// Refunds.
    pub refunded: u32,
    /// Parcels booked.
    pub booked: u32,
    /// Of them, cancelled.
    pub cancelled: u32,
}

impl Outside {
    pub(super) fn of(data: &Path, http: reqwest::Client) -> Self {
        let read = |name: &str| {
            let bytes = std::fs::read(data.join(name)).unwrap_or_else(|_| panic!("there is no {name}"));
            serde_json::from_slice::<Value>(&bytes).unwrap_or_else(|_| panic!("{name} is garbled"))
        };
        let (secrets, state) = (read("secrets.json"), read("sandbox.json"));
        let text = |name: &str| secrets[name].as_str().unwrap_or_default().to_owned();
        let address = format!("http://127.0.0.1:{}", state["port"]);
        Self { address, secret: text("gateway"), control: text("control"), http }
    }

    /// Each order's effects, by its id.
    ///
    /// # Panics
    /// When the book cannot be read.
    pub async fn book(&self) -> BTreeMap<String, Effects> {
        let (mut book, mut since) = (BTreeMap::new(), json!(0));
        loop {
            let url = format!("{}/sandbox/book?since={since}&limit={PAGE}", self.address);
            let answer = self.http.get(url).bearer_auth(&self.control).send().await.expect("the book");
            let page: Value = answer.json().await.expect("a page of the book");
            page["entries"].as_array().expect("entries").iter().for_each(|entry| add(&mut book, entry));
            if page["more"] != true {
                return book;
            }
            since = page["next"].clone();
        }
    }

    /// Books a parcel for an order, as nobody should: the shop knows nothing of it.
    ///
    /// # Panics
    /// When the carrier refuses.
    pub async fn book_parcel(&self, order: &str) {
        let url = format!("{}/carrier/v1/shipments", self.address);
        let body = json!({
            "reference": format!("extra-{order}"),
            "lines": [{"sku": "X", "quantity": 1}],
            "metadata": {"order": order, "attempt": "1"},
        });
        let request = self.http.post(url).bearer_auth(&self.secret).json(&body);
        let answer = request.send().await.expect("the carrier");
        assert!(answer.status().is_success(), "{}: {:?}", answer.status(), answer.text().await);
    }

    /// Holds money for something that is no order of this shop's.
    ///
    /// # Panics
    /// When the gateway refuses.
    pub async fn hold_money(&self, of: Option<&str>, currency: &str) {
        let url = format!("{}/v1/payment_intents", self.address);
        let form = [
            ("amount", "100"),
            ("currency", currency),
            ("payment_method", "pm_card_visa"),
            ("capture_method", "manual"),
            ("confirm", "true"),
        ];
        let form = form.into_iter().chain(of.map(|order| ("metadata[order]", order)));
        let pairs: Vec<_> =
            form.map(|(name, value)| format!("{name}={}", value.replace(' ', "%20"))).collect();
        let request = self.http.post(url).bearer_auth(&self.secret).body(pairs.join("&"));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request
            .header("idempotency-key", format!("planted-{}-{currency}", of.unwrap_or("nobody")))
            .send()
            .await
            .expect("the gateway");
        assert!(answer.status().is_success(), "{}: {:?}", answer.status(), answer.text().await);
    }
}

fn add(book: &mut BTreeMap<String, Effects>, entry: &Value) {
    let Some(order) = entry["order"].as_str() else { return };
    let effects = book.entry(order.to_owned()).or_default();
    let count = match entry["kind"].as_str() {
        Some("authorised") => &mut effects.authorised,
        Some("cancelled") => &mut effects.voided,
        Some("captured") => &mut effects.captured,
        Some("refunded") => &mut effects.refunded,
        Some("shipment_booked") => &mut effects.booked,
        Some("shipment_cancelled") => &mut effects.cancelled,
        _ => return,
    };
    *count += 1;
}
