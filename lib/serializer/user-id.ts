/**
 * The text of a user's id, as the store knows it; '' for what is no id. A plain object's text would be every user's.
 */
export function textOfUserId(id: string | number | bigint | null | undefined): string {
  const text = String(id ?? '');
  // An object with a text of its own (an ObjectId) counts as that.
  return text === '[object Object]' ? '' : text;
}
