import { TestClock as PublicTestClock } from '../../lib/testing/index.js';

/** Begins at a full second, since the dates in cookies have no milliseconds. */
export class TestClock extends PublicTestClock {
  constructor(start = new Date('2026-01-01T00:00:00Z')) {
    super(start);
  }
}
