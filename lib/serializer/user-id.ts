/** A user's id as the store knows it: its text. '' where there is none: a plain object's would be everybody's. */
export function textOfUserId(id: string | number | bigint | null | undefined): string {
  const text = String(id ?? '');
  // An object with a text of its own (an ObjectId) is as good as a string.
  return text === '[object Object]' ? '' : text;
}
