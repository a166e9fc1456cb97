#!/usr/bin/env bash
# Downloads the program of a release, checks where it comes from, and names it in the outputs of the step.
set -euo pipefail

version="${VERSION:-${REF#webpubsub-emulator-v}}"
if [[ ! "$version" =~ ^[0-9]+\.[0-9]+\.[0-9]+ ]]; then
  echo "::error::use this action at a tag webpubsub-emulator-v*, or say which \`version\`"
  exit 1
fi
case "$RUNNER_OS-$RUNNER_ARCH" in
  Linux-X64) triple=x86_64-unknown-linux-musl ;;
  Linux-ARM64) triple=aarch64-unknown-linux-musl ;;
  macOS-X64) triple=x86_64-apple-darwin ;;
  macOS-ARM64) triple=aarch64-apple-darwin ;;
  Windows-X64) triple=x86_64-pc-windows-msvc ;;
  *)
    echo "::error::there is no program for $RUNNER_OS $RUNNER_ARCH"
    exit 1
    ;;
esac

folder="${RUNNER_TEMP//\\//}/webpubsub-emulator"
stem="webpubsub-emulator-$version-$triple"
mkdir -p "$folder"
cd "$folder"
gh release download "webpubsub-emulator-v$version" --repo "$REPOSITORY" --pattern "$stem.tar.gz" --clobber
gh attestation verify "$stem.tar.gz" --repo "$REPOSITORY"
tar -xzf "$stem.tar.gz"
program="$folder/$stem/webpubsub-emulator"
[[ "$RUNNER_OS" == Windows ]] && program="$program.exe"
echo "program=$program" >> "$GITHUB_OUTPUT"
