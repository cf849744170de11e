import { raceRevocationsWithHandshakes } from './connection-races.js';

raceRevocationsWithHandshakes(1_000);
