// The only place that talks to the service. Addresses are relative: a proxy may add a prefix.

const PATIENCE_MS = 20_000;
const RETRY_SECONDS = 15;
const PAGE = 1000; // series in one answer
let key = sessionStorage.getItem("key") ?? "";

/** What went wrong, in words for a planner. `again`: seconds after which to try again, or null. */
export class Problem extends Error {
  constructor(title, detail = "", status = 0, again = null) {
    super(title);
    Object.assign(this, { detail, status, again });
  }
}

/** Return the answer of the service as JSON; a `body` is posted. Throws Problem. */
export async function ask(path, body = null, signal = null) {
  return (await send(path, body, signal)).json();
}

/** Return a file of the service. Throws Problem. */
export async function file(path) {
  return (await send(path, null, null)).blob();
}

/** Return every series there is a forecast of, with what the list rests on. */
export async function series() {
  const found = await ask(`v1/series?limit=${PAGE}`);
  while (found.series.length < found.total) {
    const next = await ask(`v1/series?limit=${PAGE}&offset=${found.series.length}`);
    if (!next.series.length) break;
    found.series.push(...next.series);
  }
  return found;
}

/** Show this key to the service from now on, until the tab is closed. */
export function unlock(secret) {
  key = secret.trim();
  sessionStorage.setItem("key", key);
}

async function send(path, body, signal) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  if (body) headers["Content-Type"] = "application/json";
  const late = AbortSignal.timeout(PATIENCE_MS);
  let answer;
  try {
    answer = await fetch(path, {
      method: body ? "POST" : "GET",
      headers,
      body: body && JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, late]) : late,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem("The service does not answer", "Check the connection.", 0, RETRY_SECONDS);
  }
  if (answer.ok) return answer;
  throw await problemOf(answer, path, body);
}

async function problemOf(answer, path, body) {
  const again = Number(answer.headers.get("Retry-After")) || null;
  const problem = await answer.json().catch(() => ({}));
  const fields = (problem.errors ?? []).map((one) => one.detail).join(". ");
  const own = [problem.title ?? "Something went wrong", fields || problem.detail];
  const [title, detail] = plainWords(answer.status, path, body, problem) ?? own;
  return new Problem(title, detail ?? "", answer.status, again);
}

// What a planner can do about it; other problems have words of their own.
function plainWords(status, path, body, problem) {
  if (status === 401 && key) return ["This access key is not valid", "It may have expired."];
  if (status === 401) return ["This page needs an access key", ""];
  if (status === 403) return [`This access key may not ${body ? "change" : "read"} this`,
    `Ask your administrator for a key with the scope ${body ? "orders" : "read"}.`];
  if (status === 404 && /^v1.(forecasts|history)/.test(path))
    return ["There is no forecast for this store and item", "Choose another one above."];
  if (status === 429) return ["Too many requests at once", "The page tries again by itself."];
  if (status === 500) return ["The service made a mistake", "Try again, then tell your administrator."];
  if (status === 503) return ["The forecasts are not ready yet",
    `${problem.title ?? ""}: ${problem.detail ?? ""} The page tries again by itself.`];
  return null;
}
