export { ApiSession } from './api-session.js';
export { addSessionAuth } from './session-scheme.js';
