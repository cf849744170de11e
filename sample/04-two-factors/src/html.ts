/** HTML made by `html`. */
export class Html {
  constructor(private readonly text: string) {}

  toString(): string {
    return this.text;
  }
}

/** What stands in a template: text, HTML, pieces of HTML one after the other, or nothing. */
type Value = string | Html | Html[] | false;

/** Template tag that escapes every value except HTML it made itself. */
export function html(strings: TemplateStringsArray, ...values: Value[]): Html {
  return new Html(String.raw({ raw: strings }, ...values.map(toText)));
}

function toText(value: Value): string {
  if (typeof value === 'string') return escape(value);
  return value === false ? '' : [value].flat().join('');
}

function escape(value: string): string {
  return value.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
