//! Where the lines of `connect` come from and where what it prints goes: a line editor with a history, or plain stdin and
//! stdout for scripts.

use std::io::{self, BufRead as _};
use std::path::PathBuf;
use std::thread;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{Config, Context, Editor, ExternalPrinter, Helper};
use tokio::sync::{mpsc, oneshot};

use super::super::output;
use super::super::stop::Stop;
use super::command::VERBS;

const PROMPT: &str = "> ";

/// A line, and whom to tell once its command is done: only then the next one is asked for.
pub(super) struct Line {
    pub(super) text: String,
    pub(super) done: oneshot::Sender<()>,
}

/// Where to print.
pub(super) enum Printer {
    Stdout,
    /// Prints above the line that is being edited.
    Editor(Box<dyn ExternalPrinter + Send>),
}

impl Printer {
    pub(super) fn line(&mut self, text: &str) -> Result<(), Stop> {
        match self {
            Self::Stdout => output::line(text),
            Self::Editor(printer) => printer
                .print(format!("{text}\n"))
                .map_err(|error| Stop::failed(format!("cannot write to the terminal: {error}"))),
        }
    }
}

/// The lines of stdin.
pub(super) fn plain() -> (Printer, mpsc::Receiver<Line>) {
    let (lines, receiver) = mpsc::channel(1);
    // A read of stdin cannot be given up, so its thread may outlive everything else.
    thread::spawn(move || {
        for text in io::stdin().lock().lines() {
            let Ok(text) = text else { return };
            if !hand_over(&lines, text) {
                return;
            }
        }
    });
    (Printer::Stdout, receiver)
}

/// The lines that a person writes, with what was written before at the arrow keys.
pub(super) fn editor(history: Option<PathBuf>) -> Result<(Printer, mpsc::Receiver<Line>), Stop> {
    let failed = |error: ReadlineError| Stop::failed(format!("no line can be edited: {error}"));
    let config = Config::builder().auto_add_history(true).build();
    let mut editor: Editor<Verbs, DefaultHistory> = Editor::with_config(config).map_err(failed)?;
    editor.set_helper(Some(Verbs));
    let printer = editor.create_external_printer().map_err(failed)?;
    if let Some(history) = &history {
        // There is none before the first time.
        let _ = editor.load_history(history);
    }
    let (lines, receiver) = mpsc::channel(1);
    thread::spawn(move || {
        while let Ok(text) = editor.readline(PROMPT) {
            if !hand_over(&lines, text) {
                break;
            }
        }
        if let Some(history) = &history {
            // A history that is lost is no reason to fail.
            let _ = history.parent().map(std::fs::create_dir_all);
            let _ = editor.save_history(history);
        }
    });
    Ok((Printer::Editor(Box::new(printer)), receiver))
}

/// Waits until the line's command is done. Returns false when nobody takes lines any more.
fn hand_over(lines: &mpsc::Sender<Line>, text: String) -> bool {
    let (done, is_done) = oneshot::channel();
    lines.blocking_send(Line { text, done }).is_ok() && is_done.blocking_recv().is_ok()
}

/// Completes the first word.
struct Verbs;

impl Completer for Verbs {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let begun = line.get(..at).unwrap_or_default();
        let verbs = VERBS.iter().filter(|verb| verb.starts_with(begun));
        Ok((0, verbs.map(|verb| format!("{verb} ")).collect()))
    }
}

impl Hinter for Verbs {
    type Hint = String;
}
impl Highlighter for Verbs {}
impl Validator for Verbs {}
impl Helper for Verbs {}
