//! What happens to the files, and what the gateway then serves.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use bifrostctl::control::watch::Mode;
use serde_json::json;

use super::lab::{KEY, Lab, OTHER_KEY, Place, ask, spec, spec_with};

#[tokio::test]
async fn saves_by_rename_and_in_place_are_served_and_counted() {
    let lab = Lab::new().await;
    lab.place.rename_over("gateway.yaml", &spec(&lab.place.root, "two"));
    lab.until_revision(2).await;
    assert_eq!(lab.says().await, "two");
    lab.place.write("gateway.yaml", &spec(&lab.place.root, "three"));
    lab.until_revision(3).await;
    assert_eq!(lab.says().await, "three");
    let status = lab.until("one table", |status| status["tables_alive"] == 1).await;
    assert_eq!(status["last_reload"]["outcome"], "applied");
    assert_eq!(status["last_reload"]["trigger"], "file");
    assert_eq!(lab.metric("bifrost_config_reloads_total{outcome=\"applied\",trigger=\"file\"}").await, 2.0);
    let revisions = lab.get("/v1/revisions").await.json();
    let last = revisions["revisions"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["number"], &last["actor"], &last["trigger"]), (&json!(3), &json!("file"), &json!("file")));
}

#[tokio::test]
async fn a_kubernetes_mount_is_followed_when_its_link_is_swapped() {
    let place = Place::new();
    let version = |name: &str, says: &str| {
        fs::create_dir(place.path(name)).unwrap();
        fs::write(place.path(name).join("gateway.yaml"), spec(&place.root, says)).unwrap();
    };
    version("..one", "one");
    symlink("..one", place.path("..data")).unwrap();
    symlink("..data/gateway.yaml", place.path("gateway.yaml")).unwrap();
    version("..two", "two");
    let lab = place.start().await;
    assert_eq!(lab.says().await, "one");
    symlink("..two", lab.place.path("..data_tmp")).unwrap();
    fs::rename(lab.place.path("..data_tmp"), lab.place.path("..data")).unwrap();
    fs::remove_dir_all(lab.place.path("..one")).unwrap();
    lab.until_revision(2).await;
    assert_eq!(lab.says().await, "two");

    // Such a mount is written over by whoever mounted it, so an apply says where changes belong.
    let refused = lab.apply(&spec(&lab.place.root, "three")).await;
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (409, &json!("read_only")));
    assert!(refused.text.contains("Git"), "{}", refused.text);
    assert_eq!(lab.says().await, "two");
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_its_repair_is_noticed() {
    let lab = Lab::new().await;
    let good = lab.place.read("gateway.yaml");
    lab.place.write("gateway.yaml", &good.replace("providers: {mock: {}}", "providers: {mock: {}, nowhere: {}}"));
    let status = lab.until_outcome("rejected").await;
    assert_eq!((&status["sync"], &status["revision"]), (&json!("out_of_sync"), &json!(1)));
    let found = &status["last_reload"]["diagnostics"][0];
    assert_eq!(found["code"], "BF0202");
    assert!(found["file"].as_str().unwrap().ends_with("gateway.yaml"), "{found}");
    assert_eq!(found["line"], 3);
    assert_eq!(lab.get("/readyz").await.status, 200);
    assert_eq!(lab.metric("bifrost_config_last_reload_successful").await, 0.0);
    assert_eq!(lab.says().await, "one");

    // Back to what runs: no new revision, but repaired.
    lab.place.write("gateway.yaml", &good);
    let status = lab.until_outcome("unchanged").await;
    assert_eq!((&status["sync"], &status["revision"]), (&json!("synced"), &json!(1)));
    assert_eq!(lab.metric("bifrost_config_last_reload_successful").await, 1.0);
}

#[tokio::test]
async fn a_file_that_is_emptied_or_removed_leaves_what_runs() {
    let lab = Lab::new().await;
    let good = lab.place.read("gateway.yaml");
    for (code, break_it) in [("BF0504", true), ("BF0503", false)] {
        if break_it {
            lab.place.write("gateway.yaml", "");
        } else {
            fs::remove_file(lab.place.path("gateway.yaml")).unwrap();
        }
        let status = lab.until_outcome("rejected").await;
        assert_eq!(status["last_reload"]["diagnostics"][0]["code"], code);
        assert_eq!(lab.says().await, "one");
        assert_eq!(lab.metric("bifrost_config_last_reload_successful").await, 0.0);
        lab.place.write("gateway.yaml", &good);
        lab.until_outcome("unchanged").await;
        assert_eq!(lab.metric("bifrost_config_last_reload_successful").await, 1.0);
    }
    assert_eq!(lab.gateway.revision(), 1);
}

#[tokio::test]
async fn what_needs_a_restart_is_refused_as_a_whole() {
    let lab = Lab::new().await;
    let text = spec(&lab.place.root, "two").replace("\"127.0.0.1:0\"", "\"127.0.0.1:1\"");
    lab.place.write("gateway.yaml", &text);
    let status = lab.until_outcome("needs_restart").await;
    let found = &status["last_reload"]["diagnostics"][0];
    assert_eq!((&found["code"], &found["line"]), (&json!("BF0502"), &json!(2)), "{found}");
    assert_eq!(lab.says().await, "one");
}

#[tokio::test]
async fn a_comment_is_no_new_revision_but_its_text_is_shown() {
    let lab = Lab::new().await;
    let text = format!("# why\n{}", lab.place.read("gateway.yaml"));
    lab.place.write("gateway.yaml", &text);
    lab.until_outcome("unchanged").await;
    let spec = lab.get("/v1/spec").await;
    assert_eq!(spec.headers["etag"], "\"1\"");
    assert_eq!(spec.json()["files"]["gateway.yaml"], text.as_str());
}

#[tokio::test]
async fn includes_that_come_and_go_are_served() {
    let place = Place::with(|root| spec_with(root, "one", "include: [teams/*.yaml]\n"));
    place.write("teams/a.yaml", "models: {a: {targets: [mock/a]}}\n");
    let lab = place.start().await;
    assert_eq!(lab.chat(KEY, "a").await.status, 200);
    lab.place.write("teams/b.yaml", "models: {b: {targets: [mock/b]}}\n");
    lab.until_revision(2).await;
    assert_eq!(lab.chat(KEY, "b").await.status, 200);
    fs::remove_file(lab.place.path("teams/a.yaml")).unwrap();
    lab.until_revision(3).await;
    assert_eq!(lab.chat(KEY, "a").await.status, 404);
    assert!(!lab.get("/metrics").await.text.contains("model=\"a\""), "what is gone is no longer shown");
}

#[tokio::test]
async fn a_prompt_is_part_of_the_spec_and_one_that_comes_late_repairs_it() {
    let place =
        Place::with(|root| spec(root, "one").replace("models: {fast: {", "models: {fast: {prompt: {system: {file: prompts/p.md}}, "));
    place.write("prompts/p.md", "Be short.\n");
    let lab = place.start().await;
    lab.place.write("prompts/p.md", "Be long.\n");
    lab.until_revision(2).await;
    assert_eq!(lab.get("/v1/spec").await.json()["files"]["prompts/p.md"], "Be long.\n");

    let later = lab.place.read("gateway.yaml").replace("prompts/p.md", "prompts/late.md");
    lab.place.write("gateway.yaml", &later);
    lab.until_outcome("rejected").await;
    lab.place.write("prompts/late.md", "Be kind.\n");
    lab.until_revision(3).await;
    assert_eq!(lab.says().await, "one");
}

#[tokio::test]
async fn a_secret_file_is_read_again_when_it_changes() {
    let place = Place::with(|root| {
        let remote = "providers: {mock: {}, local: {api: openai-chat, base_url: \"http://127.0.0.1:9/v1\", credentials: {main: {secret: {file: local.key}}}}}";
        spec(root, "one").replace("providers: {mock: {}}", remote)
    });
    place.write("local.key", "first-CANARY\n");
    let lab = place.start().await;
    lab.place.write("local.key", "second-CANARY\n");
    let status = lab.until_outcome("applied").await;
    assert_eq!(status["revision"], 1, "the spec is the same");
    assert_eq!(lab.get("/v1/revisions").await.json()["revisions"].as_array().unwrap().len(), 1);

    fs::remove_file(lab.place.path("local.key")).unwrap();
    let status = lab.until_outcome("rejected").await;
    let found = &status["last_reload"]["diagnostics"][0];
    assert_eq!(found["code"], "BF0501");
    assert!(!status.to_string().contains("CANARY"));
    assert_eq!(lab.says().await, "one");
    lab.place.write("local.key", "third-CANARY\n");
    lab.until_outcome("applied").await;
}

#[tokio::test]
async fn the_files_of_a_clouds_credential_are_read_again_when_they_change() {
    let user = |token: &str| format!(r#"{{"type":"authorized_user","client_id":"c","client_secret":"CANARY","refresh_token":"{token}"}}"#);
    let place = Place::with(|root| {
        let remote = "providers: {mock: {}, vertex: {project: p-1, location: eu, credentials: {main: {google: {service_account: {file: sa.json}}}}}}";
        spec(root, "one").replace("providers: {mock: {}}", remote)
    });
    place.write("sa.json", &user("first"));
    let lab = place.start().await;
    let signer = |lab: &Lab| Arc::clone(&lab.gateway.table().providers["vertex"].credentials[0].signer);
    let before = signer(&lab);
    lab.place.write("sa.json", &user("second"));
    lab.until_outcome("applied").await;
    assert!(!Arc::ptr_eq(&signer(&lab), &before), "signed in as somebody else");
    lab.place.write("sa.json", "CANARY");
    let status = lab.until_outcome("rejected").await;
    assert_eq!(status["last_reload"]["diagnostics"][0]["pointer"], "/providers/vertex/credentials/main/google/service_account");
    assert!(!status.to_string().contains("CANARY"));
}

#[tokio::test]
async fn a_refused_change_of_a_secret_leaves_what_is_known_of_the_one_in_use() {
    let place = Place::with(|root| {
        let remote = "providers: {mock: {}, local: {api: openai-chat, base_url: \"http://127.0.0.1:9/v1\", credentials: {main: {secret: {file: local.key}}}}}";
        spec(root, "one").replace("providers: {mock: {}}", remote)
    });
    place.write("local.key", "first");
    let mut options = place.options();
    options.watch.mode = Mode::Off;
    let lab = place.start_with(options).await;
    let good = lab.place.read("gateway.yaml");
    let main = |lab: &Lab| Arc::clone(&lab.gateway.table().providers["local"].credentials[0].health);
    let state = async |lab: &Lab| lab.status().await["providers"]["local"]["credentials"]["main"]["state"].clone();
    let known = main(&lab);
    known.refuse(0);

    // Another secret: with something that keeps the spec from being served, and in a dry run.
    lab.place.write("local.key", "second");
    lab.place.write("gateway.yaml", &good.replace("mock: {}", "mock: {}, groq: {credentials: {a: {secret: {env: NOT_SET}}}}"));
    lab.gateway.hang_up();
    lab.until_outcome("rejected").await;
    let next = good.replace("text=one", "text=two");
    let dry = lab.send("/v1/apply?dry_run=true", None, &json!({"files": {"gateway.yaml": next}, "paths": ["gateway.yaml"]})).await;
    assert_eq!((dry.status, &dry.json()["outcome"]), (200, &json!("dry_run")));
    // Nothing of it counts, neither now nor later.
    lab.place.write("local.key", "first");
    lab.place.write("gateway.yaml", &next);
    lab.gateway.hang_up();
    lab.until_revision(2).await;
    assert!(Arc::ptr_eq(&main(&lab), &known));
    assert_eq!(state(&lab).await, "out");

    // A secret that really is replaced is tried at once; so is the first one, when it comes back.
    let mut before = known;
    for secret in ["second", "first"] {
        lab.place.write("local.key", secret);
        lab.gateway.hang_up();
        lab.until(secret, |_| !Arc::ptr_eq(&main(&lab), &before)).await;
        assert_eq!(state(&lab).await, "ready", "{secret}");
        before = main(&lab);
        before.refuse(0);
    }
}

#[tokio::test]
async fn the_access_log_moves_with_the_spec_and_is_opened_again_on_sighup() {
    let lab = Lab::new().await;
    let log = lab.place.path("access.log");
    let text = lab.place.read("gateway.yaml").replace("\"off\"", &format!("{{file: \"{}\"}}", log.display()));
    lab.place.write("gateway.yaml", &text);
    lab.until_revision(2).await;
    lab.says().await;
    fs::rename(&log, lab.place.path("access.log.1")).unwrap();
    lab.gateway.hang_up();
    lab.until("a reload by signal", |status| status["last_reload"]["trigger"] == "signal").await;
    lab.says().await;
    let place = lab.end().await;
    assert_eq!(place.read("access.log.1").lines().count(), 1);
    assert_eq!(place.read("access.log").lines().count(), 1, "the end waits for the last line");
}

#[tokio::test]
async fn sighup_loads_what_nobody_watches() {
    let place = Place::with(|root| spec(root, "one"));
    let mut options = place.options();
    options.watch.mode = Mode::Off;
    let lab = place.start_with(options).await;
    assert_eq!(lab.status().await["watching"], "off");
    lab.place.write("gateway.yaml", &spec(&lab.place.root, "two"));
    lab.gateway.hang_up();
    lab.until_revision(2).await;
    assert_eq!(lab.says().await, "two");
}

#[tokio::test]
async fn a_removed_key_loses_its_running_stream_and_others_keep_theirs() {
    let lab = Lab::new().await;
    let long = ask("mock/mock-small@chunks=2000;chunk_delay=10ms;text=word", true);
    let (mut lost, mut kept) = (lab.post(OTHER_KEY, &long).await, lab.post(KEY, &long).await);
    lost.chunk().await.unwrap();
    kept.chunk().await.unwrap();
    let text = lab.place.read("gateway.yaml");
    let without: String = text.lines().filter(|line| !line.contains("other:")).map(|line| format!("{line}\n")).collect();
    lab.place.write("gateway.yaml", &without);
    lab.until_revision(2).await;
    let mut rest = String::new();
    while let Some(piece) = lost.chunk().await.unwrap() {
        rest.push_str(std::str::from_utf8(&piece).unwrap());
    }
    assert!(rest.contains("key_revoked"), "{rest}");
    assert!(kept.chunk().await.unwrap().is_some());
    assert_eq!(lab.chat(OTHER_KEY, "fast").await.status, 401);
    drop(kept);
    lab.until("one table", |status| status["tables_alive"] == 1).await;
}

#[tokio::test]
async fn the_mock_starts_when_a_later_revision_brings_it() {
    let place = Place::with(|root| {
        spec(root, "one")
            .replace(
                "providers: {mock: {}}",
                "providers: {local: {api: openai-chat, base_url: \"http://127.0.0.1:9/v1\", credentials: {main: {secret: none}}}}",
            )
            .replace("mock/mock-small@text=one", "local/x")
    });
    let lab = place.start().await;
    assert_eq!(lab.chat(KEY, "fast").await.status, 502);
    lab.place.write("gateway.yaml", &spec(&lab.place.root, "two"));
    lab.until_revision(2).await;
    assert_eq!(lab.says().await, "two");
}
