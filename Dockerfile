# The program alone, linked statically: docker build -t heeler .
FROM rust:1.95-slim AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends musl-tools make \
 && rustup target add "$(uname -m)-unknown-linux-musl"
WORKDIR /heeler
COPY Cargo.toml Cargo.lock ./
COPY crates crates
COPY benches benches
RUN cargo build --locked --release -p heeler --target "$(uname -m)-unknown-linux-musl" \
 && cp "target/$(uname -m)-unknown-linux-musl/release/heeler" /heeler-static

FROM scratch
COPY --from=build /heeler-static /heeler
USER 65534:65534
ENTRYPOINT ["/heeler"]
CMD ["serve", "--redis", "0.0.0.0:6380", "--http", "0.0.0.0:8001"]
