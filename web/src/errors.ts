/** Something the user can mend; its message is a sentence that the page shows as it is. */
export class PlainError extends Error {}

/** What to show of any error: a plain sentence as it is, anything else as what it is, a defect. */
export function sentenceOf(error: unknown): string {
  if (error instanceof PlainError) return error.message;
  const reason = error instanceof Error ? error.message : String(error);
  return `Something went wrong that should not have: ${reason}`;
}
