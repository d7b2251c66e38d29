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
}

impl MailPeer {
    pub async fn open(moods: &[Mood]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let moods = Arc::new(Mutex::new(moods.iter().copied().collect()));
        let peer = Self { address, taken: Arc::default(), moods };
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
        format!("smtp://{}", self.address)
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
        stream.write_all(b"220 peer\r\n").await?;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            match line.get(..4).unwrap_or_default() {
                "DATA" => {
                    stream.write_all(b"354 go on\r\n").await?;
                    let mail = read_mail(&mut stream).await?;
                    let mood = self.mood();
                    if matches!(mood, Mood::Takes | Mood::DiesAfter) {
                        self.taken.lock().expect("no panic").push(mail);
                    }
                    match mood {
                        Mood::Takes => stream.write_all(b"250 taken\r\n").await?,
                        Mood::RefusesForGood => stream.write_all(b"550 no such person\r\n").await?,
                        Mood::RefusesForNow => stream.write_all(b"451 later\r\n").await?,
                        Mood::DiesAfter => return Ok(()),
                    }
                }
                "QUIT" => return stream.write_all(b"221 bye\r\n").await,
                _ => stream.write_all(b"250 peer\r\n").await?,
            }
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
