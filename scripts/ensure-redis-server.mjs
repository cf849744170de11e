/** Makes sure that the tests find a redis-server: installs one where that needs no question, else says how to. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { redisServerBinary } from './redis-server-binary.mjs';

const HOW_TO = `No redis-server found. Install one, then run this again:
  Debian, Ubuntu   sudo apt-get install redis-server
  Fedora           sudo dnf install valkey
  Alpine           sudo apk add redis
  macOS            brew install redis
  Windows          use WSL, and there: sudo apt-get install redis-server
  any              REDIS_SERVER_BIN=/path/to/redis-server`;

/**
 * Debian starts a server as it installs it, and again at every boot; the tests start their own. The hook forbids the
 * first, and goes even when this is interrupted; one that is there already is the machine's own rule and stays.
 */
const INSTALL = `
set -e
hook=/usr/sbin/policy-rc.d
if [ ! -e $hook ]; then
  trap 'rm -f $hook' EXIT
  trap 'exit 130' INT TERM HUP
  printf '#!/bin/sh\\nexit 101\\n' > $hook
  chmod 755 $hook
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q -y install --no-install-recommends redis-server
update-rc.d redis-server disable || true`;

try {
  if (!redisServerBinary() && !(mayInstall() && install() && redisServerBinary())) throw new Error(HOW_TO);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

function mayInstall() {
  return process.getuid?.() === 0 && existsSync('/etc/debian_version');
}

function install() {
  console.log('No redis-server found: installing it with apt-get.');
  return spawnSync('sh', ['-c', INSTALL], { stdio: ['ignore', 'inherit', 'inherit'] }).status === 0;
}
