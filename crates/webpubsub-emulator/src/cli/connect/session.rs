//! A client that does what lines say, and prints what happens meanwhile.

use std::process::ExitCode;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use webpubsub_client::{
    Events, GroupStream, GroupStreamWriter, GroupStreams, Payload, SendError, WebPubSubClient,
};

use super::super::signals::Signals;
use super::super::stop::{FAILED, INTERRUPTED, Stop, chain};
use super::command::{self, Command, HELP};
use super::shown::{Data, Shown};
use super::terminal::{Line, Printer};

/// How many fragments may wait to be printed.
const FRAGMENTS: usize = 256;

/// A running `connect`.
pub(super) struct Session {
    client: WebPubSubClient,
    events: Events,
    printer: Printer,
    json: bool,
    messages: u64,
    has_failed: bool,
    /// The stream that is being written.
    writer: Option<GroupStreamWriter>,
    /// What streams of others bring.
    fragments: mpsc::Receiver<Shown>,
    fragment_sender: mpsc::Sender<Shown>,
    readers: JoinSet<()>,
}

/// Why a session ends.
enum End {
    Asked,
    Stopped,
    Interrupted,
}

impl Session {
    pub(super) fn new(client: WebPubSubClient, printer: Printer, json: bool) -> Self {
        let (fragment_sender, fragments) = mpsc::channel(FRAGMENTS);
        Self {
            events: client.events(),
            client,
            printer,
            json,
            messages: 0,
            has_failed: false,
            writer: None,
            fragments,
            fragment_sender,
            readers: JoinSet::new(),
        }
    }

    /// Connects, and takes commands until there are no more.
    pub(super) async fn run(
        mut self,
        mut lines: mpsc::Receiver<Line>,
        is_plain: bool,
        follow: bool,
    ) -> Result<ExitCode, Stop> {
        let mut signals = Signals::listen()
            .map_err(|error| Stop::failed(format!("cannot listen for signals: {error}")))?;
        let client = self.client.clone();
        tokio::select! {
            started = client.start() => started.map_err(|error| Stop::failed(chain(&error)))?,
            () = signals.next() => return Ok(ExitCode::from(INTERRUPTED)),
        }
        let end = self.serve(&mut lines, &mut signals, follow).await?;
        // Whoever waits for a line to be done shall not keep the editor.
        drop(lines);
        self.client.stop().await;
        Ok(match end {
            End::Stopped => ExitCode::from(FAILED),
            End::Interrupted if is_plain => ExitCode::from(INTERRUPTED),
            End::Asked if is_plain && self.has_failed => ExitCode::from(FAILED),
            End::Asked | End::Interrupted => ExitCode::SUCCESS,
        })
    }

    async fn serve(
        &mut self,
        lines: &mut mpsc::Receiver<Line>,
        signals: &mut Signals,
        follow: bool,
    ) -> Result<End, Stop> {
        let mut has_lines = true;
        loop {
            let line = tokio::select! {
                event = self.events.next() => {
                    let Some(event) = event else { return Ok(End::Stopped) };
                    if self.print_all(Shown::of(event))? {
                        return Ok(End::Stopped);
                    }
                    continue;
                }
                Some(fragment) = self.fragments.recv() => {
                    self.print_all(vec![fragment])?;
                    continue;
                }
                () = signals.next() => return Ok(End::Interrupted),
                line = lines.recv(), if has_lines => line,
            };
            let Some(line) = line else {
                has_lines = false;
                match follow {
                    true => continue,
                    false => return Ok(End::Asked),
                }
            };
            match command::parse(&line.text) {
                Ok(Command::Quit) => return Ok(End::Asked),
                Ok(command) => {
                    if let Some(end) = self.carry_out(command, signals).await? {
                        return Ok(end);
                    }
                }
                Err(error) => self.fail("line", error)?,
            }
            // The editor may be gone.
            let _ = line.done.send(());
        }
    }

    /// Does what was asked for; meanwhile events are printed.
    async fn carry_out(
        &mut self,
        command: Command,
        signals: &mut Signals,
    ) -> Result<Option<End>, Stop> {
        let until = match command {
            Command::Wait(messages) => messages,
            _ => 0,
        };
        let client = self.client.clone();
        let mut writer = self.writer.take();
        let done = async {
            let done = carry_out(&client, &mut writer, &command).await;
            (done, writer)
        };
        let mut done = std::pin::pin!(done);
        let mut answered = None;
        while answered.is_none() || self.messages < until {
            tokio::select! {
                answer = &mut done, if answered.is_none() => answered = Some(answer),
                event = self.events.next() => {
                    let Some(event) = event else { return Ok(Some(End::Stopped)) };
                    if self.print_all(Shown::of(event))? {
                        return Ok(Some(End::Stopped));
                    }
                }
                Some(fragment) = self.fragments.recv() => {
                    self.print_all(vec![fragment])?;
                }
                () = signals.next() => return Ok(Some(End::Interrupted)),
            }
        }
        let Some((done, writer)) = answered else {
            return Ok(None);
        };
        self.writer = writer;
        match done {
            Ok(Done::Shown(shown)) => self.print(&shown)?,
            Ok(Done::Streams(streams)) => {
                self.read_streams(streams);
                self.print(&Shown::Done { command: "streams" })?;
            }
            Ok(Done::Silently) => {}
            Err((command, error)) => self.fail(command, error)?,
        }
        Ok(None)
    }

    /// Prints streams as they come.
    fn read_streams(&mut self, mut streams: GroupStreams) {
        let fragments = self.fragment_sender.clone();
        self.readers.spawn(async move {
            let mut readers = JoinSet::new();
            while let Some(stream) = streams.next().await {
                readers.spawn(read(stream, fragments.clone()));
            }
        });
    }

    fn fail(&mut self, command: &'static str, error: String) -> Result<(), Stop> {
        self.has_failed = true;
        self.print(&Shown::Failed { command, error })
    }

    /// Returns whether the client was stopped.
    fn print_all(&mut self, all: Vec<Shown>) -> Result<bool, Stop> {
        let mut is_stopped = false;
        for shown in all {
            self.messages += u64::from(shown.is_message());
            is_stopped |= matches!(shown, Shown::Stopped { .. });
            self.print(&shown)?;
        }
        Ok(is_stopped)
    }

    fn print(&mut self, shown: &Shown) -> Result<(), Stop> {
        self.printer.line(&shown.line(self.json))
    }
}

/// What a command has led to.
enum Done {
    Shown(Shown),
    Streams(GroupStreams),
    Silently,
}

/// The command that failed, and why.
type Failure = (&'static str, String);

async fn carry_out(
    client: &WebPubSubClient,
    writer: &mut Option<GroupStreamWriter>,
    command: &Command,
) -> Result<Done, Failure> {
    let failed = |command: &'static str| move |error: SendError| (command, chain(&error));
    let open = |command: &'static str| {
        (
            command,
            "there is no open stream; `stream GROUP` opens one".to_owned(),
        )
    };
    let done = |command| Ok(Done::Shown(Shown::Done { command }));
    match command {
        Command::Join(group) => {
            let call = client.join_group(group.as_str());
            call.await.map_err(failed("join"))?;
            done("join")
        }
        Command::Leave(group) => {
            let call = client.leave_group(group.as_str());
            call.await.map_err(failed("leave"))?;
            done("leave")
        }
        Command::Send(group, payload) => {
            let call = client.send_to_group(group.as_str(), payload.clone());
            call.await.map_err(failed("send"))?;
            done("send")
        }
        Command::Event(event, payload) => {
            let call = client.send_event(event.as_str(), payload.clone());
            call.await.map_err(failed("event"))?;
            done("event")
        }
        Command::Invoke(event, payload) => invoke(client, event, payload.clone()).await,
        Command::OpenStream(group) => {
            let call = client.open_group_stream(group.as_str());
            let opened = call.await.map_err(failed("stream"))?;
            let stream_id = opened.stream_id().to_owned();
            *writer = Some(opened);
            Ok(Done::Shown(Shown::StreamOpened { stream_id }))
        }
        Command::Write(payload) => {
            let stream = writer.as_mut().ok_or_else(|| open("write"))?;
            let written = stream.write(payload.clone()).await;
            written.map_err(failed("write"))?;
            done("write")
        }
        Command::EndStream => {
            let stream = writer.take().ok_or_else(|| open("end"))?;
            stream.end().await.map_err(failed("end"))?;
            done("end")
        }
        Command::AbortStream => {
            let stream = writer.take().ok_or_else(|| open("abort"))?;
            // Dropping it does the same without an answer.
            drop(stream);
            done("abort")
        }
        Command::Streams(groups) => {
            let streams = client.group_streams();
            let streams = match groups.is_empty() {
                true => streams,
                false => streams
                    .groups(groups.iter().map(String::as_str))
                    .map_err(|error| ("streams", error.to_string()))?,
            };
            Ok(Done::Streams(streams.subscribe()))
        }
        Command::SetState(group, pairs) => {
            let call = client.set_group_state(group.as_str(), pairs.clone());
            call.await.map_err(failed("state"))?;
            done("state")
        }
        Command::ClearState(group) => {
            let call = client.clear_group_state(group.as_str());
            call.await.map_err(failed("clear"))?;
            done("clear")
        }
        Command::Watch(group) => {
            let call = client.subscribe_group_state(group.as_str());
            call.await.map_err(failed("watch"))?;
            done("watch")
        }
        Command::Unwatch(group) => {
            let call = client.unsubscribe_group_state(group.as_str());
            call.await.map_err(failed("unwatch"))?;
            done("unwatch")
        }
        Command::Info => Ok(Done::Shown(Shown::Info {
            state: format!("{:?}", client.state()).to_lowercase(),
            connection_id: client.connection_id().map(|id| id.to_string()),
            user_id: client.user_id().map(|id| id.to_string()),
        })),
        Command::Help => Ok(Done::Shown(Shown::Note {
            text: HELP.to_owned(),
        })),
        Command::Wait(_) | Command::Nothing | Command::Quit => Ok(Done::Silently),
    }
}

async fn invoke(
    client: &WebPubSubClient,
    event: &str,
    payload: Option<Payload>,
) -> Result<Done, Failure> {
    let call = match payload {
        Some(payload) => client.invoke_event(event, payload),
        None => client.invoke_event_without_data(event),
    };
    let answer = call.await.map_err(|error| ("invoke", chain(&error)))?;
    Ok(Done::Shown(Shown::Answer {
        data: answer.payload.as_ref().map(Data::of),
    }))
}

/// Prints the fragments of a stream until its end.
async fn read(mut stream: GroupStream, fragments: mpsc::Sender<Shown>) {
    let (group, stream_id) = (stream.group().to_string(), stream.stream_id().to_owned());
    let mut error = None;
    while let Some(fragment) = stream.next().await {
        let shown = match fragment {
            Ok(fragment) => Shown::Fragment {
                group: group.clone(),
                stream_id: stream_id.clone(),
                number: fragment.number,
                data: Data::of(&fragment.payload),
            },
            Err(problem) => {
                error = Some(problem.to_string());
                continue;
            }
        };
        if fragments.send(shown).await.is_err() {
            return;
        }
    }
    let ended = Shown::StreamEnded {
        group,
        stream_id,
        error,
    };
    // Nobody prints any more when the session is over.
    let _ = fragments.send(ended).await;
}
