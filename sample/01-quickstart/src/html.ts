/** HTML made by `html`. */
export class Html {
  constructor(private readonly text: string) {}

  toString(): string {
    return this.text;
  }
}

/** Template tag that escapes every value except HTML it made itself. */
export function html(strings: TemplateStringsArray, ...values: (Html | string)[]): Html {
  return new Html(
    String.raw({ raw: strings }, ...values.map((value) => (typeof value === 'string' ? escape(value) : value))),
  );
}

function escape(value: string): string {
  return value.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
