//! Files that are good, and every way in which they are not.

use std::fs;

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use super::*;

/// A certificate of a year, and its key, as PEM.
fn issue(year: i32) -> (String, String) {
    let key = KeyPair::generate().expect("key");
    let mut params = CertificateParams::new(["game.example".to_owned()]).expect("name");
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(year, 1, 1);
    (params.self_signed(&key).expect("certificate").pem(), key.serialize_pem())
}

struct Files {
    folder: TempDir,
}

impl Files {
    fn new(certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        let files = Self { folder: tempfile::tempdir().expect("folder") };
        files.write(certificate, key);
        files
    }

    fn write(&self, certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) {
        fs::write(self.certificate(), certificate).expect("written");
        fs::write(self.key(), key).expect("written");
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    fn load(&self) -> Result<TlsIdentity, TlsError> {
        TlsIdentity::load(self.certificate(), self.key())
    }

    fn error(&self) -> String {
        self.load().expect_err("must be refused").to_string()
    }
}

#[test]
fn files_with_a_byte_order_mark_and_line_ends_of_windows_are_loaded() {
    let (certificate, key) = issue(2100);
    let windows = |text: &str| format!("\u{feff}{}", text.replace('\n', "\r\n"));
    Files::new(windows(&certificate), windows(&key)).load().expect("both");
    Files::new(format!("\u{feff}{certificate}"), key.replace('\n', "\r\n")).load().expect("either");
    let key_only = Files::new("\u{feff}", &key).error();
    assert!(key_only.contains("holds no certificate"), "{key_only}");
}

#[test]
fn a_certificate_and_its_key_are_loaded_and_the_key_is_never_shown() {
    let (certificate, key) = issue(2100);
    let identity = Files::new(&certificate, &key).load().expect("identity");
    let shown = format!("{identity:?}") + &format!("{:?}", Resolver(Arc::new(identity)));
    let secret = key.lines().nth(1).expect("base64");
    assert!(shown.contains("key.pem") && !shown.contains(secret) && !shown.contains("CertifiedKey"), "{shown}");
}

#[test]
fn key_and_certificate_may_stand_in_one_file() {
    let (certificate, key) = issue(2100);
    let both = format!("{key}{certificate}");
    assert!(Files::new(&both, &both).load().is_ok());
}

#[test]
fn a_missing_file_is_named() {
    let (certificate, _) = issue(2100);
    let files = Files::new(certificate, "");
    fs::remove_file(files.key()).expect("removed");
    assert!(files.error().starts_with(&format!("cannot read {}: No such file", files.key().display())), "{}", files.error());
    fs::remove_file(files.certificate()).expect("removed");
    assert!(files.error().starts_with(&format!("cannot read {}: No such file", files.certificate().display())), "{}", files.error());
}

#[test]
fn files_without_what_they_need_are_named() {
    let (certificate, key) = issue(2100);
    assert!(Files::new(&key, &key).error().contains("cert.pem holds no certificate"));
    assert!(Files::new("", &key).error().contains("cert.pem holds no certificate"));
    assert!(Files::new(&certificate, &certificate).error().contains("key.pem holds no private key"));
    assert!(Files::new(&certificate, "").error().contains("key.pem holds no private key"));
    let locked = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    assert!(Files::new(&certificate, locked).error().contains("without a password"));
}

#[test]
fn a_key_of_another_certificate_names_both_files() {
    let error = Files::new(issue(2100).0, issue(2100).1).error();
    assert!(error.contains("key.pem does not belong to the first certificate in ") && error.ends_with("cert.pem"), "{error}");
}

#[test]
fn damaged_files_are_refused_and_no_byte_of_them_is_shown() {
    let (certificate, key) = issue(2100);
    let secret = key.lines().nth(1).expect("base64").to_owned();
    let damaged = [
        key.replacen(&secret, &format!("{secret}!"), 1),
        key.replacen(&secret, &secret[..40], 1),
        key.replace("-----END", "-----ENDE"),
        key.replace("-----BEGIN PRIVATE KEY-----", &format!("-----BEGIN {secret}")),
    ];
    for key in damaged {
        let error = Files::new(&certificate, &key).load().expect_err("damaged");
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("key.pem") && !shown.contains(&secret[..20]), "{shown}");
    }
    let middle = certificate.lines().nth(2).expect("base64");
    for damaged in [certificate.replacen(middle, "AAAA", 1), certificate.replacen(middle, "?", 1)] {
        assert!(Files::new(damaged, &key).error().contains("cert.pem is damaged"));
    }
    assert!(Files::new(vec![b'-'; (FILE_BYTES_MAX + 1) as usize], &key).error().contains("longer than"));
}

#[test]
fn an_expired_certificate_is_loaded_and_says_since_when() {
    let (certificate, key) = issue(2001);
    let identity = Files::new(certificate, key).load().expect("only a warning");
    let seconds = |years: u64, leap_days: u64| Duration::from_secs((years * 365 + leap_days) * 86_400);
    assert_eq!(identity.expires(), Some(SystemTime::UNIX_EPOCH + seconds(31, 8)));
    let (certificate, key) = issue(2101);
    let identity = Files::new(certificate, key).load().expect("identity");
    assert_eq!(identity.expires(), Some(SystemTime::UNIX_EPOCH + seconds(131, 32)));
}

#[test]
fn a_bad_new_file_leaves_the_old_certificate_in_use_and_is_not_read_again() {
    let (certificate, key) = issue(2100);
    let files = Files::new(&certificate, &key);
    let identity = files.load().expect("identity");
    let shown = || identity.current.load().cert.first().cloned().expect("certificate");
    let old = shown();
    assert!(!identity.changed());

    files.write("no certificate", &key);
    assert!(identity.changed());
    assert!(identity.reload().is_err());
    assert!(!identity.changed() && shown() == old);

    let (certificate, key) = issue(2101);
    files.write(certificate, key);
    assert!(identity.changed());
    identity.reload().expect("good again");
    assert!(!identity.changed() && shown() != old);

    fs::remove_file(files.key()).expect("removed");
    assert!(identity.changed() && identity.reload().is_err() && !identity.changed());
}
