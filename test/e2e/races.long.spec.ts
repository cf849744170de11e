import { raceRounds } from '../support/race-rounds.js';
import { describeRaces } from './races.js';

describeRaces(raceRounds(100) / 100);
