export { SessionHealthIndicator } from './session-health-indicator.js';
export type { SessionHealthOptions } from './session-health-indicator.js';
