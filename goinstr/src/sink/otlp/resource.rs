//! What the measured process is, and attributes: names by the semantic conventions
//! (<https://opentelemetry.io/docs/specs/semconv/>), what they have none for begins with `goinstr.`.

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource,
};

use crate::aggregate::SessionInfo;
use crate::sink::visible::visible;

/// Which version of the conventions the names are of.
pub(super) const SCHEMA: &str = "https://opentelemetry.io/schemas/1.33.0";
/// What OpenTelemetry's own libraries ask for names that they can't know.
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
const RESOURCE_ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// Spelt out: what shows it at the other end may be a terminal (the Collector's `debug` exporter), and a
/// function is to be called the same in a metric, a span and a table.
pub(super) fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(visible(value).into_owned()))
}

pub(super) fn number(key: &str, value: u64) -> KeyValue {
    attribute(
        key,
        Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)),
    )
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: visible(key).into_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// The measured process. What the environment names in the way of OpenTelemetry's own libraries
/// goes before what is found out.
pub(super) fn resource(info: &SessionInfo) -> Resource {
    let named = named(
        std::env::var(SERVICE_NAME).ok().as_deref(),
        std::env::var(RESOURCE_ATTRIBUTES).ok().as_deref(),
    );
    let uname = rustix::system::uname();
    described(info, &uname.nodename().to_string_lossy(), named)
}

/// The process on this host; `named` goes first.
pub(super) fn described(info: &SessionInfo, host: &str, named: Vec<KeyValue>) -> Resource {
    let name = info.exe.rsplit('/').next().unwrap_or(&info.exe);
    let mut found = vec![
        text("service.name", name),
        text("process.executable.path", &info.exe),
        text("process.executable.name", name),
        text("process.runtime.name", "go"),
        text("host.name", host),
        text(
            "host.arch",
            match info.arch {
                "x86_64" => "amd64",
                "aarch64" => "arm64",
                other => other,
            },
        ),
        text("os.type", "linux"),
    ];
    if let Some(pid) = info.pid {
        found.push(number("process.pid", pid.into()));
        // Two processes of one service must not write to the same time series.
        found.push(text("service.instance.id", &format!("{host}:{pid}")));
    }
    let go = info.go_version.as_deref();
    found.extend(go.map(|version| text("process.runtime.version", version)));
    let mut attributes = named;
    for one in found {
        if !attributes.iter().any(|other| other.key == one.key) {
            attributes.push(one);
        }
    }
    Resource {
        attributes,
        ..Resource::default()
    }
}

/// `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` (`key=value,key=value`), the former first
/// (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>).
fn named(service: Option<&str>, attributes: Option<&str>) -> Vec<KeyValue> {
    let pairs = attributes.unwrap_or_default().split(',');
    let service = service.map(|name| ("service.name", name));
    let pairs = service
        .into_iter()
        .chain(pairs.filter_map(|pair| pair.split_once('=')))
        .map(|(key, value)| (key.trim(), value.trim()))
        .filter(|(key, value)| !key.is_empty() && !value.is_empty());
    let mut named: Vec<KeyValue> = Vec::new();
    for (key, value) in pairs {
        if !named.iter().any(|other| other.key == key) {
            // The user's own words, which are none of the target's.
            named.push(attribute(key, Value::StringValue(value.to_owned())));
        }
    }
    named
}

/// Who has measured.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "goinstr".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::sample;

    fn value<'r>(resource: &'r Resource, key: &str) -> Option<&'r Value> {
        let mut all = resource.attributes.iter().filter(|one| one.key == key);
        let found = all.next();
        assert!(all.next().is_none(), "{key} twice");
        found?.value.as_ref()?.value.as_ref()
    }

    #[test]
    fn what_the_environment_names_goes_first() {
        let named = named(
            Some("shop"),
            Some("service.name=other, deployment.environment.name = live ,nothing,=x,a="),
        );
        let found = described(&sample::info(), "host", named);
        let text = |text: &str| Value::StringValue(text.to_owned());
        assert_eq!(value(&found, "service.name"), Some(&text("shop")));
        assert_eq!(
            value(&found, "deployment.environment.name"),
            Some(&text("live"))
        );
        assert_eq!(value(&found, "process.pid"), Some(&Value::IntValue(4242)));
        assert_eq!(value(&found, "a"), None);
        let found = described(&sample::info(), "host", Vec::new());
        assert_eq!(value(&found, "service.name"), Some(&text("app")));
    }
}
