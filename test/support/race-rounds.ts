/** How many rounds a long race takes: all of these or, with `RACES=0.3` for example, three tenths of them. */
export function raceRounds(rounds: number): number {
  return Math.ceil(rounds * Number(process.env['RACES'] ?? 1));
}
