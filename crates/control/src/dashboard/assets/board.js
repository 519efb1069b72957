// What the engine tells as it happens: one stream for what this page shows at the moment.

/** Follows the board; `onNews` gets what is new, `onLink` whether the engine is heard ('live', 'waiting', 'lost'). */
export class Board {
  #stream = null;
  #lens = null;
  #onNews;
  #onLink;

  constructor(onNews, onLink) {
    this.#onNews = onNews;
    this.#onLink = onLink;
    document.addEventListener('visibilitychange', () => this.#follow());
  }

  /** Looks at other lines, or at another job. The first news then tell everything. */
  look(lens) {
    if (JSON.stringify(lens) === JSON.stringify(this.#lens)) return;
    this.#lens = lens;
    this.#follow();
  }

  /** A page that nobody sees follows nothing. */
  #follow() {
    this.#stream?.close();
    this.#stream = null;
    if (document.hidden || this.#lens === null) return;
    const query = new URLSearchParams(Object.entries(this.#lens).filter(([, value]) => value !== null && value !== ''));
    const stream = new EventSource(`/v1/board/events?${query.toString().replaceAll('+', '%20')}`);
    stream.addEventListener('board', (event) => {
      this.#onLink('live');
      this.#onNews(JSON.parse(event.data));
    });
    stream.addEventListener('error', () => this.#onLink(stream.readyState === EventSource.CLOSED ? 'lost' : 'waiting'));
    this.#stream = stream;
  }
}
