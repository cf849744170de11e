export { TestClock } from '../../lib/testing/index.js';
