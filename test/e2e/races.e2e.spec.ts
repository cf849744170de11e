import { describeRaces } from './races.js';

describeRaces(0.1);
