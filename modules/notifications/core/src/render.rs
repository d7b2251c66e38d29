//! Render: a mail joined with its reader. Templates are files in the binary: the first line is the subject, the rest
//! the text; the HTML part is the same paragraphs, escaped, in one layout.

use minijinja::{AutoEscape, Environment, context};
use notifications_api::{Contact, Language, Mail as Rendered, MailHead};

use crate::mail::Mail;

const LAYOUT: &str = include_str!("../templates/layout.html");
const TEMPLATES: [(&str, &str); 12] = [
    ("en/confirmed", include_str!("../templates/en/confirmed.txt")),
    ("en/delayed", include_str!("../templates/en/delayed.txt")),
    ("en/cancelled", include_str!("../templates/en/cancelled.txt")),
    ("en/shipped", include_str!("../templates/en/shipped.txt")),
    ("en/delivered", include_str!("../templates/en/delivered.txt")),
    ("en/refunded", include_str!("../templates/en/refunded.txt")),
    ("de/confirmed", include_str!("../templates/de/confirmed.txt")),
    ("de/delayed", include_str!("../templates/de/delayed.txt")),
    ("de/cancelled", include_str!("../templates/de/cancelled.txt")),
    ("de/shipped", include_str!("../templates/de/shipped.txt")),
    ("de/delivered", include_str!("../templates/de/delivered.txt")),
    ("de/refunded", include_str!("../templates/de/refunded.txt")),
];

/// All templates, parsed.
pub(crate) struct Templates(Environment<'static>);

impl Templates {
    /// # Panics
    /// When a template in the binary cannot be parsed; a test renders each.
    pub(crate) fn new() -> Self {
        let mut environment = Environment::new();
        let is_html = |name: &str| if name == "layout" { AutoEscape::Html } else { AutoEscape::None };
        environment.set_auto_escape_callback(is_html);
        for (name, text) in TEMPLATES.into_iter().chain([("layout", LAYOUT)]) {
            let added = environment.add_template(name, text);
            added.unwrap_or_else(|error| unreachable!("the template {name}: {error}"));
        }
        Self(environment)
    }

    /// As its customer reads it; who is not known is greeted without a name, in English.
    pub(crate) fn render(&self, mail: &Mail, contact: Option<&Contact>) -> Rendered {
        let language = contact.map_or(Language::En, |contact| contact.language);
        let name = format!("{}/{}", language.tag(), mail.id.kind.as_str());
        let values = context! {
            name => contact.map(|contact| contact.name.as_str()),
            order => mail.id.order.to_string(),
            amount => amount(mail, language),
            pieces => mail.pieces,
            cause => mail.cause.as_deref(),
            tracking => &mail.tracking,
        };
        let whole = self.fill(&name, &values);
        let (subject, text) = whole.split_once('\n').unwrap_or((&whole, ""));
        let text = text.trim();
        let paragraphs: Vec<String> = text.split("\n\n").map(str::to_owned).collect();
        let html = self.fill(
            "layout",
            &context! { subject => subject.trim().to_owned(), paragraphs, language => language.tag() },
        );
        let head = MailHead {
            id: mail.id.to_string(),
            order: mail.id.order,
            kind: mail.id.kind,
            subject: subject.trim().to_owned(),
            at: mail.at,
            sending: mail.sending,
        };
        let message_id = format!("<{}@banyan.invalid>", mail.id);
        Rendered { head, customer: mail.customer, message_id, text: format!("{text}\n"), html }
    }

    fn fill(&self, name: &str, values: &minijinja::Value) -> String {
        let filled = self.0.get_template(name).and_then(|template| template.render(values));
        filled.unwrap_or_else(|error| {
            // A test renders each: only a template that was changed and never tried can fail.
            tracing::error!(%error, name, "a template cannot be filled");
            String::new()
        })
    }
}

/// As a person writes it.
fn amount(mail: &Mail, language: Language) -> String {
    let mark = match language {
        Language::En => ".",
        Language::De => ",",
    };
    let (whole, fraction) = mail.amount.major(mark);
    format!("{whole}{fraction} {}", mail.amount.currency.as_str())
}

#[cfg(test)]
mod tests {
    use banyan_kernel::{CustomerId, Money, OrderId, Timestamp};
    use notifications_api::{Address, Kind, MailId, Sending};
    use uuid::Uuid;

    use super::*;

    fn mail(kind: Kind) -> Mail {
        Mail {
            id: MailId { order: OrderId(Uuid::from_u128(7)), kind, n: 0 },
            customer: CustomerId(Uuid::from_u128(1)),
            at: Timestamp::UNIX_EPOCH,
            amount: Money { minor: 12_305, currency: "EUR".parse().expect("a currency") },
            pieces: 3,
            cause: (kind == Kind::Cancelled).then(|| "out_of_stock".to_owned()),
            tracking: Vec::new(),
            orders_seen: None,
            sending: Sending::Kept,
            tries: 0,
            refusals: 0,
            trace: None,
        }
    }

    fn contact(name: &str, language: Language) -> Contact {
        let address = Address::default();
        Contact { name: name.to_owned(), email: String::new(), language, address, unwanted: Vec::new() }
    }

    #[test]
    fn each_kind_in_each_language_reads_as_it_was_agreed() {
        let templates = Templates::new();
        let mut all = String::new();
        for language in [Language::En, Language::De] {
            for kind in Kind::ALL {
                let mail = templates.render(&mail(kind), Some(&contact("Ada", language)));
                assert!(mail.html.ends_with("</html>"), "{kind:?}: {}", mail.html);
                let (subject, text) = (mail.head.subject, mail.text);
                all += &format!("== {} {}\n{subject}\n\n{text}\n", language.tag(), kind.as_str());
            }
        }
        insta::assert_snapshot!(all);
    }

    #[test]
    fn what_a_person_calls_themselves_runs_nowhere() {
        let templates = Templates::new();
        let person = contact("<script>alert(1)</script> {{ order }}", Language::En);
        let mail = templates.render(&mail(Kind::Shipped), Some(&person));
        assert!(!mail.html.contains("<script>") && mail.html.contains("&lt;script&gt;"), "{}", mail.html);
        assert!(mail.text.contains("{{ order }}"), "a name is no template: {}", mail.text);
    }

    #[test]
    fn each_parcel_is_named() {
        for (language, one, two) in [
            (Language::En, "left our house, and", "left our house in 2 parcels, and"),
            (Language::De, "haben unser Haus verlassen;", "haben in 2 Paketen unser Haus verlassen;"),
        ] {
            for (tracking, expected) in [(vec!["T1"], one), (vec!["T1", "T2"], two)] {
                let mut mail = mail(Kind::Shipped);
                mail.tracking = tracking.iter().map(|&number| number.to_owned()).collect();
                let text = Templates::new().render(&mail, Some(&contact("Ada", language))).text;
                assert!(text.contains(expected) && text.contains(&tracking.join(", ")), "{text}");
            }
        }
    }

    #[test]
    fn yen_have_no_cents() {
        let mut mail = mail(Kind::Confirmed);
        mail.amount.currency = "JPY".parse().expect("a currency");
        let text = Templates::new().render(&mail, Some(&contact("Ada", Language::De))).text;
        assert!(text.contains("12305 JPY"), "{text}");
    }

    #[test]
    fn nobody_is_greeted_without_a_name() {
        let mail = Templates::new().render(&mail(Kind::Confirmed), None);
        assert!(mail.text.starts_with("Dear customer,"), "{}", mail.text);
    }
}
