import { ClientClosedError, ClientOfflineError, ErrorReply, SimpleError } from 'redis';
import { errorType } from '../../lib/metrics/error-type.js';
import { DeadlineError, DisconnectedError } from '../../lib/store/time-budget.js';

class OwnError extends Error {}

describe('the type of an error of the store', () => {
  it.each<[string, unknown]>([
    ['timeout', new DeadlineError('no reply within 500 ms')],
    ['disconnected', new DisconnectedError('Redis does not reply.')],
    ['disconnected', new ClientOfflineError()],
    ['disconnected', new ClientClosedError()],
    ['READONLY', new SimpleError("READONLY You can't write against a read only replica.")],
    ['ErrorReply', new ErrorReply('')],
    ['ECONNRESET', Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })],
    ['OwnError', new OwnError('USER4711 has no session')],
    ['Error', Object.assign(new Error('no'), { code: 'user 4711' })],
    ['string', 'user 4711'],
  ])('is %s, which names nobody', (type, error) => {
    expect(errorType(error)).toBe(type);
  });
});
