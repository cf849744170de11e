import { describeRaces } from './races.js';

describeRaces(1);
