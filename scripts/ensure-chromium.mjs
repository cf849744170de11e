/** Makes sure that the tests find a Chromium: installs one where that needs no question, else says how to. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chromiumBinary } from './chromium-binary.mjs';

const HOW_TO = `No Chromium found. Install one, then run this again:
  Debian           sudo apt-get install chromium
  Ubuntu           sudo snap install chromium
  Fedora           sudo dnf install chromium
  macOS            brew install --cask chromium
  any              CHROMIUM_BIN=/path/to/chromium (or to Google Chrome)`;

if (!chromiumBinary() && !(mayInstall() && install() && chromiumBinary())) {
  console.error(HOW_TO);
  process.exitCode = 1;
}

function mayInstall() {
  return process.getuid?.() === 0 && existsSync('/etc/debian_version');
}

function install() {
  console.log('No Chromium found: installing it with apt-get.');
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const script = 'apt-get -q update && apt-get -q -y install --no-install-recommends chromium';
  return spawnSync('sh', ['-c', script], { env, stdio: ['ignore', 'inherit', 'inherit'] }).status === 0;
}
