export { actingAs } from './acting-as.js';
export type { ActingAsOptions } from './acting-as.js';
export { recordEvents } from './record-events.js';
export type { RecordedEvents } from './record-events.js';
export { TestClock } from './test-clock.js';
