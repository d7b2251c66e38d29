//! `lab services`: the whole shop taken apart on this machine, until Ctrl-C. What ends by itself, or is killed, is started again.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{IsTerminal, Read, Seek, SeekFrom, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use banyan_host::StopSignals;
use banyan_kafka::testing::Broker;
use banyan_lab::stage::{Apart, Databases, MODULES, Plan, ShopOptions, Stage, program};
use clap::{Args, builder::PossibleValuesParser};

/// Between two looks at logs and processes.
const LOOK: Duration = Duration::from_millis(250);
/// A line that is longer is cut where it is read.
const READ_BYTES_MAX: u64 = 256 * 1024;
const COUNT_MAX: usize = 8;

/// Starts Kafka, PostgreSQL with a database for each module, the sandbox, six services and their front; prints who listens where, then
/// all logs in one stream. Ctrl-C ends all of it, and leaves nothing behind.
#[derive(Args)]
pub struct ServicesArgs {
    /// How many of a module: `orders=2`; `shipping=0` leaves it with the front. One of each, unless told.
    #[arg(long = "count", value_name = "MODULE=N", value_parser = count)]
    counts: Vec<(&'static str, usize)>,
    /// All in one database, the front's.
    #[arg(long)]
    one_database: bool,
    /// These modules are with the front as well, on its database, and a route decides who is asked (`banyan route`); all others are with the
    /// front alone.
    #[arg(long, value_delimiter = ',', value_name = "MODULES", value_parser = PossibleValuesParser::new(MODULES), conflicts_with_all = ["counts", "one_database"])]
    routed: Vec<String>,
    /// How the sandbox misbehaves: `none`, `everyday`, or cells such as `authorise.timeout=1.5%`.
    #[arg(long, default_value = "none", value_name = "FAULTS")]
    faults: String,
    /// What is logged.
    #[arg(long, default_value = "warn,banyan_store=info,banyan_postgres=info", value_name = "FILTER")]
    log: String,
}

fn count(text: &str) -> Result<(&'static str, usize), String> {
    let (module, count) = text.split_once('=').ok_or("MODULE=N")?;
    let known = MODULES.into_iter().find(|known| *known == module);
    let module = known.ok_or_else(|| format!("{module:?} is none of {}", MODULES.join(", ")))?;
    let count = count.parse().ok().filter(|count| *count <= COUNT_MAX);
    Ok((module, count.ok_or_else(|| format!("0 to {COUNT_MAX} of {module}"))?))
}

impl ServicesArgs {
    fn plan(&self) -> Plan {
        let of = |module: &'static str| {
            let told = self.counts.iter().rev().find(|(named, _)| *named == module);
            (module, told.map_or(1, |(_, count)| *count))
        };
        let is_out =
            |module: &&str| self.routed.is_empty() || self.routed.iter().any(|routed| routed == module);
        let services = MODULES.into_iter().filter(is_out).map(of).filter(|(_, count)| *count > 0).collect();
        let routed = !self.routed.is_empty();
        let databases = if self.one_database || routed { Databases::Shared } else { Databases::Own };
        let front = ShopOptions::args(&["--allow-faults", "--sandbox-faults", &self.faults]);
        Plan { services, databases, routed, front, log: Some(self.log.clone()), ..Plan::default() }
    }
}

/// Runs it.
pub async fn services(args: ServicesArgs) -> ExitCode {
    match run(args.plan()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("lab: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run(plan: Plan) -> Result<(), String> {
    let mut signals = StopSignals::listen()?;
    println!("starting Kafka, then PostgreSQL, the sandbox, the front and its services (half a minute)");
    let starting = async {
        let broker =
            tokio::task::spawn_blocking(Broker::start).await.map_err(|error| error.to_string())??;
        let (stage, broker) = (Stage::new(), Arc::new(broker));
        let apart = Apart::start(&stage, "shop", &broker, plan).await;
        Ok::<_, String>((stage, broker, apart))
    };
    // The stage and the broker clear up behind whatever was started, whenever they are dropped.
    let (stage, broker, mut apart) = tokio::select! {
        started = starting => started?,
        _ = signals.next() => return Ok(()),
    };
    print!("{}", who_is_where(&apart, &broker));
    let mut logs = Logs::new(&apart);
    loop {
        tokio::select! {
            _ = signals.next() => break,
            () = tokio::time::sleep(LOOK) => {}
        }
        logs.print();
        for name in apart.revived().await {
            println!("-- {name} had ended, and was started again");
        }
    }
    println!("\nstopping");
    let well = apart.stop().await;
    logs.print();
    drop((apart, stage, broker));
    if well { Ok(()) } else { Err("not everything ended in time".to_owned()) }
}

fn who_is_where(apart: &Apart, broker: &Broker) -> String {
    let mut text = format!("\n{:<15} {:<26} {}\n", "", "asked at", "looked after at");
    let mut line =
        |name: &str, api: &str, admin: &str| text.push_str(&format!("{name:<15} {api:<26} {admin}\n"));
    line("front", &apart.front.api, &apart.front.admin);
    for (module, instances) in &apart.services {
        for instance in instances {
            line(module, &instance.addresses.port(), &instance.addresses.admin());
        }
    }
    line("kafka", &broker.cluster("").brokers, "");
    line("sandbox", &apart.front.outside().address, "");
    line("postgresql", &apart.front.database_url(), "");
    let (banyan, data) = (program().display().to_string(), apart.front.data.display().to_string());
    text + &format!(
        "\nIn another terminal:\n  export BANYAN_DATA={data}\n  {banyan} replay app/sample/sample.jsonl --limit 500\n  {banyan} status\n  \
         {banyan} audit\nCtrl-C ends all of it.\n\n"
    )
}

/// The logs of all, read as they grow.
struct Logs(Vec<Log>);

struct Log {
    name: String,
    colour: u8,
    path: PathBuf,
    read: u64,
}

impl Logs {
    fn new(apart: &Apart) -> Self {
        let mut all: BTreeMap<String, PathBuf> = BTreeMap::new();
        all.insert("front".to_owned(), apart.front.data.with_extension("err"));
        for (module, instances) in &apart.services {
            for (n, instance) in instances.iter().enumerate() {
                let name =
                    if instances.len() > 1 { format!("{module} {}", n + 1) } else { (*module).to_owned() };
                all.insert(name, instance.log().to_owned());
            }
        }
        let log = |(n, (name, path)): (usize, (String, PathBuf))| Log {
            name,
            // The six colours of a terminal that are neither black nor white.
            colour: 31 + u8::try_from(n % 6).unwrap_or_default(),
            path,
            read: 0,
        };
        Self(all.into_iter().enumerate().map(log).collect())
    }

    fn print(&mut self) {
        let is_coloured = stdout().is_terminal();
        for log in &mut self.0 {
            for line in grown(&log.path, &mut log.read) {
                if is_coloured {
                    println!("\x1b[{}m{:<15}\x1b[0m {line}", log.colour, log.name);
                } else {
                    println!("{:<15} {line}", log.name);
                }
            }
        }
    }
}

/// The whole lines that were written since; a file that is shorter than it was is another one.
fn grown(path: &Path, read: &mut u64) -> Vec<String> {
    let mut text = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        if file.metadata()?.len() < *read {
            *read = 0;
        }
        file.seek(SeekFrom::Start(*read))?;
        let mut bytes = Vec::new();
        file.take(READ_BYTES_MAX).read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let whole = if whole == 0 && bytes.len() as u64 == READ_BYTES_MAX { bytes.len() } else { whole };
        *read += whole as u64;
        Ok(String::from_utf8_lossy(&bytes[..whole]).into_owned())
    };
    text().unwrap_or_default().lines().map(str::to_owned).collect()
}
