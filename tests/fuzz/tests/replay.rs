//! Every target holds for its seeds and for what is committed in `corpus/`: what a fuzzer once found stays fixed.

use std::fs;
use std::panic;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use fuzz::{TARGETS, Target};

/// One at a time: the targets measure the memory of the whole process.
static ALONE: Mutex<()> = Mutex::new(());

fn replay(target: &Target) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let seeds = (target.seeds)();
    for seed in &seeds {
        (target.run)(seed);
    }
    let committed = committed(target.name);
    for (name, input) in &committed {
        let held = panic::catch_unwind(|| (target.run)(input)).is_ok();
        assert!(held, "corpus/{}/{name} does not hold", target.name);
    }
    assert!(
        seeds.len() + committed.len() > 0,
        "there is nothing to begin with"
    );
    // What every fuzzer tries first.
    (target.run)(&[]);
    (target.run)(b"\n");
    (target.run)(&[0xff; 64]);
}

fn committed(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let Ok(files) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut inputs: Vec<_> = files
        .map(|file| {
            let file = file.expect("the corpus can be listed");
            let input = fs::read(file.path()).expect("the corpus can be read");
            (file.file_name().to_string_lossy().into_owned(), input)
        })
        .collect();
    inputs.sort();
    inputs
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                replay(fuzz::find(stringify!($name)).expect("there is such a target"));
            }
        )*

        #[test]
        fn each_target_has_a_test() {
            let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

targets! {
    json_client
    json_server
    protobuf_client
    protobuf_server
    simple_client
    filter
    permission
    connection_string
    token
    cloud_event
    proxy_url
    config_file
    session
    hub
}

#[test]
fn the_corpus_belongs_to_targets_and_is_small() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for folder in fs::read_dir(corpus).expect("there is a corpus") {
        let name = folder.expect("the corpus can be listed").file_name();
        let name = name.to_string_lossy();
        let target = fuzz::find(&name).unwrap_or_else(|| panic!("{name} is no target"));
        for (file, input) in committed(target.name) {
            let most = target.longest;
            assert!(input.len() <= most, "{name}/{file}: at most {most} bytes");
        }
    }
}
