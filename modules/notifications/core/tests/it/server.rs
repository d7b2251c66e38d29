//! A mail server that does as it is told: takes, refuses, or takes and dies before it says so.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// What it does with one mail; the last one is for all that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Takes,
    /// As soon as somebody comes: it is closed.
    RefusesWhoComes,
    /// Whoever logs in, with whatever.
    RefusesTheLogIn,
    RefusesTheSender,
    RefusesTheReader,
    /// Takes the connection and says nothing at all.
    Hangs,
    RefusesForGood,
    RefusesForNow,
    /// Takes the mail and goes away without a word.
    DiesAfter,
}

#[derive(Clone)]
pub struct MailPeer {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<String>>>,
    moods: Arc<Mutex<VecDeque<Mood>>>,
    called: Arc<tokio::sync::Notify>,
}

impl MailPeer {
    pub async fn open(moods: &[Mood]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let moods = Arc::new(Mutex::new(moods.iter().copied().collect()));
        let peer = Self { address, taken: Arc::default(), moods, called: Arc::default() };
        let serving = peer.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let peer = serving.clone();
                tokio::spawn(async move { drop(peer.talk(stream).await) });
            }
        });
        peer
    }

    pub fn url(&self) -> String {
        format!("smtp://user:secret@{}", self.address)
    }

    /// Waits until somebody has connected.
    pub async fn is_called(&self) {
        self.called.notified().await;
    }

    /// The mails that were taken, whole.
    pub fn taken(&self) -> Vec<String> {
        self.taken.lock().expect("no panic").clone()
    }

    fn mood(&self) -> Mood {
        let mut moods = self.moods.lock().expect("no panic");
        if moods.len() > 1 { moods.pop_front().expect("more than one") } else { moods[0] }
    }

    /// RFC 5321, as far as a client of one mail asks for it.
    async fn talk(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        let mood = self.mood();
        self.called.notify_one();
        match mood {
            Mood::Hangs => std::future::pending().await,
            Mood::RefusesWhoComes => return stream.write_all(b"554 closed for today\r\n").await,
            _ => stream.write_all(b"220 peer\r\n").await?,
        }
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let answer: &[u8] = match (line.get(..4).unwrap_or_default(), mood) {
                ("EHLO", _) => b"250-peer\r\n250 AUTH PLAIN\r\n",
                ("AUTH", Mood::RefusesTheLogIn) => b"535 who are you\r\n",
                ("AUTH", _) => b"235 welcome\r\n",
                ("MAIL", Mood::RefusesTheSender) => b"550 not from you\r\n",
                ("RCPT", Mood::RefusesTheReader) => b"550 no such person\r\n",
                ("DATA", _) => {
                    stream.write_all(b"354 go on\r\n").await?;
                    let mail = read_mail(&mut stream).await?;
                    if matches!(mood, Mood::Takes | Mood::DiesAfter) {
                        self.taken.lock().expect("no panic").push(mail);
                    }
                    match mood {
                        Mood::RefusesForGood => b"554 not that\r\n",
                        Mood::RefusesForNow => b"451 later\r\n",
                        Mood::DiesAfter => return Ok(()),
                        _ => b"250 taken\r\n",
                    }
                }
                ("QUIT", _) => return stream.write_all(b"221 bye\r\n").await,
                _ => b"250 peer\r\n",
            };
            stream.write_all(answer).await?;
        }
    }
}

async fn read_mail(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut mail = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 || line == ".\r\n" {
            return Ok(mail);
        }
        mail.push_str(&line);
    }
}
