import { raceRounds } from '../support/race-rounds.js';
import { raceRevocationsWithHandshakes } from './connection-races.js';

raceRevocationsWithHandshakes(raceRounds(1_000));
