/* global document, fetch, location, setInterval */

/**
 * Keeps "this session ends at …" true while the page is open, in the visitor's own time zone, and shows the login page
 * when the session has ended. It asks a passive route: asking does not keep the session alive. The page works without it.
 */
const line = document.querySelector('#session-end');
const at = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const relative = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: 'auto' });

if (line) {
  await refresh();
  setInterval(refresh, 10_000);
}

async function refresh() {
  const response = await fetch('/session').catch(() => undefined);
  if (response?.ok) {
    show(await response.json());
  } else if (response?.status === 401) {
    // Without a reason, the browser has no cookie of a session any more.
    const { reason = '' } = await response.json();
    location.assign(`/login?reason=${encodeURIComponent(reason)}`);
  }
}

function show({ secondsLeft }) {
  line.querySelector('time').textContent = at.format(Date.now() + secondsLeft * 1000);
  line.querySelector('span').textContent = inWords(secondsLeft);
}

function inWords(seconds) {
  if (seconds < 120) return relative.format(seconds, 'second');
  if (seconds < 2 * 3600) return relative.format(Math.round(seconds / 60), 'minute');
  if (seconds < 2 * 86_400) return relative.format(Math.round(seconds / 3600), 'hour');
  return relative.format(Math.round(seconds / 86_400), 'day');
}
