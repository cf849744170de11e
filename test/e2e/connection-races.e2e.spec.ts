import { raceRevocationsWithHandshakes } from './connection-races.js';

raceRevocationsWithHandshakes(30);
