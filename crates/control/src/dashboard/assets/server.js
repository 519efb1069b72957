// The engine's answers. A failure is an Error with the engine's own sentence.

/** Asks the engine; gives what it answers, null for nothing. */
export async function ask(method, path, body) {
  const request = { method, credentials: 'same-origin', cache: 'no-store' };
  if (body !== undefined) {
    request.body = JSON.stringify(body);
    request.headers = { 'content-type': 'application/json' };
  }
  let answer;
  try {
    answer = await fetch(path, request);
  } catch {
    throw new Error('The engine does not answer.');
  }
  if (answer.status === 204) return null;
  const told = await answer.json().catch(() => null);
  if (!answer.ok) throw new Error(told?.message ?? `The engine refused (${answer.status}).`);
  return told;
}
