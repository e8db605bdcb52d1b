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
  throw await problemOf(answer);
}

async function problemOf(answer) {
  const again = Number(answer.headers.get("Retry-After")) || null;
  const said = await answer.json().catch(() => ({}));
  if (answer.status === 401 && key) return new Problem("This access key does not open it", "", 401);
  const unforeseen = [said.title ?? "Something went wrong", said.detail];
  const [title, detail] = PLAIN[answer.status] ?? unforeseen;
  return new Problem(title, detail ?? "", answer.status, again);
}

// What a planner can do about it; other problems speak for themselves.
const PLAIN = {
  401: ["This page needs an access key", ""],
  403: ["This access key may not read forecasts", "Ask your administrator for another one."],
  404: ["There is no forecast for this store and item", "Choose another one above."],
  429: ["Too many questions at once", "The page tries again by itself."],
  500: ["The service made a mistake", "Try again; if it stays, tell your administrator."],
  503: ["The forecasts are not ready yet", "The page tries again by itself."],
};
