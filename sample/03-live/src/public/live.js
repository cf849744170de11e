/* global document, EventSource, fetch, location */
import { io } from '/socket.io/socket.io.esm.min.js';

/**
 * The chat by Socket.IO, and the devices by server-sent events. When the session ends, whoever ended it and wherever,
 * the server closes both, and this page says why.
 */
const live = document.querySelector('#live');
if (live) start();

function start() {
  const { handle, reasons } = live.dataset;
  const sentences = JSON.parse(reasons);
  const [socket, feed] = [io(), new EventSource('/devices')];

  socket.on('said', ({ from, text }) => {
    const item = element('li', text);
    item.prepend(element('strong', from));
    live.querySelector('#chat').append(item);
  });
  // The session has ended while the page was open, or before it connected.
  socket.on('exception', ({ reason }) => end(reason));
  socket.on('connect_error', ({ data }) => data?.code === 'unauthenticated' && end(data.reason));

  feed.addEventListener('message', ({ data }) => {
    live.querySelector('#devices').replaceChildren(...JSON.parse(data).map(device));
  });
  feed.addEventListener('error', () => {
    // The browser tries again by itself, unless it was refused. Then the page is, too, and the login page says why.
    if (feed.readyState === EventSource.CLOSED) location.reload();
  });

  live.querySelector('#say').addEventListener('submit', (event) => {
    event.preventDefault();
    const { text } = event.target.elements;
    socket.emit('say', text.value);
    text.value = '';
  });

  function end(reason = 'expired') {
    const ended = live.querySelector('#ended');
    if (!ended.hidden) return;
    ended.hidden = false;
    ended.querySelector('p').textContent = sentences[reason] ?? sentences.expired;
    live.classList.add('over');
    feed.close();
    socket.close();
    for (const control of document.querySelectorAll('button, input')) control.disabled = true;
  }

  function device({ handle: its, name, isOnline }) {
    const item = element('li');
    const title = element('h2', name);
    if (its === handle) title.append(' ', element('strong', 'This device', 'badge'));
    if (isOnline) title.append(' ', element('span', 'online', 'badge'));
    item.append(title);
    if (its !== handle) {
      const button = element('button', 'Sign out', 'quiet');
      button.setAttribute('aria-label', `Sign out ${name}`);
      button.addEventListener('click', () => signOut(its));
      item.append(button);
    }
    return item;
  }
}

function signOut(handle) {
  const headers = { 'content-type': 'application/json' };
  return fetch('/devices/sign-out', { method: 'POST', headers, body: JSON.stringify({ handle }) });
}

function element(name, text = '', className = '') {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}
