//! URLs of proxies: no password is shown.

use webpubsub_client::WebSocketConnector;

use crate::check;

pub(super) fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let password = url::Url::parse(text)
        .ok()
        .and_then(|url| Some(url.password()?.to_owned()));
    let connector = check::frugal(text.len(), 200, || {
        WebSocketConnector::builder().proxy(text).build()
    });
    let shown = match connector {
        Ok(connector) => format!("{connector:?}"),
        Err(error) => {
            check::error(&error, 200);
            error.to_string()
        }
    };
    if let Some(password) = password {
        // It may well stand elsewhere in the URL, too.
        if text.matches(password.as_str()).count() == 1 {
            check::hides(&shown, &password);
        }
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    [
        "http://proxy:3128",
        "https://user:pAssW0rd-1@proxy.example/",
        "socks5://127.0.0.1",
        "socks5h://user:pAssW0rd-1@[::1]:1080",
        "proxy:3128",
        "http://user:p%40ssW0rd@proxy:0",
        "ftp://proxy",
        "http://",
        "",
    ]
    .map(|url| url.as_bytes().to_vec())
    .to_vec()
}
