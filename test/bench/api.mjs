/** A client of one host for what the bench sets up and asks; what it measures goes by the load generator. */
export class Api {
  constructor(url, key) {
    this.url = url;
    this.key = key;
  }

  /** The same host, as somebody else. */
  as(key) {
    return new Api(this.url, key);
  }

  /** @returns the body of the answer; a refusal throws */
  async send(method, path, body) {
    const response = await fetch(this.url + path, {
      method,
      headers: {
        'x-api-key': this.key,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const answer = await response.json();
    if (response.ok) return answer;
    throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(answer)}`);
  }
}
