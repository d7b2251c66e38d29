//! A conversation with the mail server (RFC 5321), which tells whose trouble it is when it comes to nothing.
//!
//! lettre's own transport answers with a code alone, and a 554 that greets us is not a 554 about an address: the first is said to
//! every mail, the second to this one.

use std::time::Duration;

use lettre::{
    Address, Message,
    message::Mailbox,
    transport::smtp::{
        Error,
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, Tls, TlsParameters},
        commands::{Data, Mail, Rcpt},
        extension::{ClientId, Extension, MailBodyParameter, MailParameter},
    },
};
use percent_encoding::percent_decode_str;
use url::Url;

/// One mail, from the connection to the server's word.
pub(crate) const TIME_MAX: Duration = Duration::from_secs(20);
const GOOD_BYE_TIME_MAX: Duration = Duration::from_millis(500);
/// As RFC 6409 and RFC 8314 have them, and for a server on this machine.
const PORTS: (u16, u16, u16) = (587, 465, 25);

/// Where mails are sent by.
#[derive(Clone)]
pub struct MailServer {
    host: String,
    port: u16,
    tls: Tls,
    credentials: Option<Credentials>,
    from: Mailbox,
}

/// Why there is no way to a mail server.
#[derive(Debug, thiserror::Error)]
pub enum MailServerError {
    /// The address of the server.
    #[error("the mail server's address cannot be used: {0}")]
    Server(String),
    /// The sender's address.
    #[error("the sender is no e-mail address")]
    From,
}

/// Why a mail was not taken, and whose trouble that is.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Said to whoever comes, or about us: other mails meet the same, and no mail is to blame.
    Server(String),
    /// Said about this mail's reader or content, for good.
    Mail(String),
    /// It may be otherwise in a while.
    Passing(String),
}

impl MailServer {
    /// By a URL: `smtps://USER:PASSWORD@HOST:PORT` (TLS from the first byte), `smtp://HOST:PORT?tls=required`
    /// (STARTTLS), or `smtp://HOST:PORT` on loopback without TLS; `from` is the sender, `Name <address>`.
    ///
    /// # Errors
    /// When one of them cannot be understood, or a password would travel in the clear.
    pub fn new(url: &str, from: &str) -> Result<Self, MailServerError> {
        // Whoever came first chose the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Nothing of the URL is repeated: there may be a password in it.
        let wrong = |why: &str| MailServerError::Server(why.to_owned());
        let url = Url::parse(url).map_err(|error| MailServerError::Server(error.to_string()))?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| wrong("it names no host"))?;
        let with_tls = || {
            let parameters = TlsParameters::new(host.to_owned());
            parameters.map_err(|_| wrong("its host is no name that TLS could check"))
        };
        let wanted = url.query_pairs().find(|(key, _)| key == "tls").map(|(_, value)| value.into_owned());
        let is_loopback = ["127.0.0.1", "localhost", "[::1]"].contains(&host);
        let (tls, port) = match (url.scheme(), wanted.as_deref()) {
            ("smtps", None) => (Tls::Wrapper(with_tls()?), PORTS.1),
            ("smtp", Some("required")) => (Tls::Required(with_tls()?), PORTS.0),
            ("smtp", None) if is_loopback => (Tls::None, PORTS.2),
            ("smtp", None) => {
                return Err(wrong("without TLS only on loopback: smtps://, or smtp://...?tls=required"));
            }
            _ => return Err(wrong("it is smtps://..., smtp://...?tls=required, or smtp:// on loopback")),
        };
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(port),
            tls,
            credentials: credentials(&url)?,
            from: Self::sender(from)?,
        })
    }

    /// A sender as settings say it.
    ///
    /// # Errors
    /// When it is no address.
    pub fn sender(from: &str) -> Result<Mailbox, MailServerError> {
        from.parse().map_err(|_| MailServerError::From)
    }

    pub(crate) fn from(&self) -> &Mailbox {
        &self.from
    }

    /// Hands a mail over: connects, says whose it is and for whom, and what it is.
    pub(crate) async fn deliver(&self, message: &Message) -> Result<(), Trouble> {
        let conversation = async {
            let mut connection = self.connect().await.map_err(of_server)?;
            let handed_over = hand_over(&mut connection, message).await;
            Ok((connection, handed_over))
        };
        let late = |_| Trouble::Passing(format!("no word within {} s", TIME_MAX.as_secs()));
        let (mut connection, handed_over) =
            tokio::time::timeout(TIME_MAX, conversation).await.map_err(late)??;
        // What was said of the mail stands; whether the other side says good-bye changes nothing.
        let _ = tokio::time::timeout(GOOD_BYE_TIME_MAX, connection.abort()).await;
        handed_over
    }

    /// Up to the log-in.
    async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        let hello = ClientId::default();
        let (wrapper, upgrade) = match &self.tls {
            Tls::Wrapper(parameters) => (Some(parameters.clone()), None),
            Tls::Required(parameters) => (None, Some(parameters.clone())),
            _ => (None, None),
        };
        let server = (self.host.as_str(), self.port);
        let connection = AsyncSmtpConnection::connect_tokio1(server, Some(TIME_MAX), &hello, wrapper, None);
        let mut connection = connection.await?;
        if let Some(parameters) = upgrade {
            connection.starttls(parameters, &hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }
}

fn credentials(url: &Url) -> Result<Option<Credentials>, MailServerError> {
    let Some(password) = url.password() else { return Ok(None) };
    let decoded = |text: &str| {
        let decoded = percent_decode_str(text).decode_utf8().map(|text| text.into_owned());
        decoded.map_err(|_| MailServerError::Server("its user or password is no text".to_owned()))
    };
    Ok(Some(Credentials::new(decoded(url.username())?, decoded(password)?)))
}

async fn hand_over(connection: &mut AsyncSmtpConnection, message: &Message) -> Result<(), Trouble> {
    let (envelope, content) = (message.envelope(), message.formatted());
    let mut parameters = Vec::new();
    let can = |connection: &AsyncSmtpConnection, what| connection.server_info().supports_feature(what);
    let is_ascii = |address: &Address| address.user().is_ascii() && address.domain().is_ascii();
    if !envelope.to().iter().chain(envelope.from()).all(is_ascii) {
        if !can(connection, Extension::SmtpUtfEight) {
            return Err(Trouble::Mail(
                "the address is not of ASCII, and the server has no SMTPUTF8".to_owned(),
            ));
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    if !content.is_ascii() {
        if !can(connection, Extension::EightBitMime) {
            return Err(Trouble::Mail("the mail is not of ASCII, and the server has no 8BITMIME".to_owned()));
        }
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    let sender = Mail::new(envelope.from().cloned(), parameters);
    connection.command(sender).await.map_err(of_server)?;
    for reader in envelope.to() {
        connection.command(Rcpt::new(reader.clone(), Vec::new())).await.map_err(of_mail)?;
    }
    connection.command(Data).await.map_err(of_mail)?;
    connection.message(&content).await.map_err(of_mail)?;
    Ok(())
}

/// Before it was said for whom the mail is: about whoever asks, or how.
fn of_server(error: Error) -> Trouble {
    let is_ours = error.is_permanent() || error.is_client() || error.is_tls();
    if is_ours { Trouble::Server(words(&error)) } else { Trouble::Passing(words(&error)) }
}

fn of_mail(error: Error) -> Trouble {
    if error.is_permanent() { Trouble::Mail(words(&error)) } else { Trouble::Passing(words(&error)) }
}

/// The server's code or the kind of the failure: its words may repeat the address.
fn words(error: &Error) -> String {
    match error.status() {
        Some(code) => format!("the server answered {code}"),
        None if error.is_timeout() => "the server does not answer".to_owned(),
        None if error.is_tls() => "the server cannot be believed, or speaks no TLS".to_owned(),
        None if error.is_client() => "the server offers no TLS, or no way to log in, that we have".to_owned(),
        None if error.is_response() => "the server answers what is not understood".to_owned(),
        None => "the server cannot be reached, or went away".to_owned(),
    }
}
