/** The demo page in a real browser, and what people do in it. */
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import type { Browser, Locator, Page } from 'playwright-core';
import { launchChromium } from './chromium.ts';
import { eventually } from './eventually.ts';
import { TestClient } from './test-client.ts';
import { startTestServer, type TestServer, tokenOf } from './test-server.ts';

/** Far more than anything takes, on two slow cores as well. */
const waitMs = 60_000;
/** Folder for pictures of the page, when somebody wants to look at them. */
const pictures = process.env['DEMO_PICTURES'];
export const phone = { viewport: { width: 390, height: 780 }, isMobile: true, hasTouch: true };

type VisitOptions = Parameters<Browser['newContext']>[0];

export class Demo {
  readonly server: TestServer;
  readonly #browser: Browser;
  /** What no page may ever say: errors on the console (a violated policy is one), exceptions. */
  readonly complaints: string[] = [];

  private constructor(server: TestServer, browser: Browser) {
    this.server = server;
    this.#browser = browser;
  }

  static async start(settings: Record<string, string> = {}): Promise<Demo> {
    const server = await startTestServer(settings);
    try {
      return new Demo(server, await launchChromium());
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.#browser.close();
    await this.server.stop();
  }

  /** The page as a new visitor finds it. `prepare` sees it before it is loaded. */
  async visit(options: VisitOptions = {}, prepare?: (page: Page) => Promise<void>): Promise<Page> {
    const context = await this.#browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    context.setDefaultTimeout(waitMs);
    const page = await context.newPage();
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') this.complaints.push(message.text());
    });
    page.on('pageerror', (error) => this.complaints.push(String(error)));
    await prepare?.(page);
    await page.goto(`http://${this.server.url}/`);
    return page;
  }

  async signIn(name: string, options?: VisitOptions, prepare?: (page: Page) => Promise<void>): Promise<Page> {
    const page = await this.visit(options, prepare);
    await page.getByLabel('Your name').fill(name);
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await isThere(page, name);
    return page;
  }

  /** What the browser itself reports of something that a test has brought about. */
  forgive(pattern: RegExp): void {
    const others = this.complaints.filter((text) => !pattern.test(text));
    this.complaints.splice(0, this.complaints.length, ...others);
  }

  /** Somebody without a browser. */
  robot(name: string): Promise<TestClient> {
    return TestClient.connect({ url: this.server.url, token: tokenOf(name) });
  }

  /** Somebody who is on this shard, or not on it: where a browser lands is chance, so it takes a few tries. */
  async signInWhere(name: string, isRight: (shard: number) => boolean): Promise<Page> {
    for (;;) {
      const page = await this.signIn(name);
      if (isRight(await shardOf(page))) return page;
      await page.context().close();
    }
  }
}

/** What a client without a browser says; the server takes it. */
export async function say(client: TestClient, type: string, data: object): Promise<void> {
  const reply = await client.request(type, data);
  assert.equal(reply.type, 'Status', JSON.stringify(reply.data));
}

export async function sayAll(client: TestClient, topic: string, texts: string[]): Promise<void> {
  await Promise.all(texts.map((text) => say(client, 'Broadcast', { topic, payload: { text } })));
}

/** Texts that tell their place. */
export function numbers(count: number, first = 1): string[] {
  return Array.from({ length: count }, (_, index) => `number ${first + index}`);
}

/** Connected, and the open topic joined. */
export async function isThere(page: Page, name: string): Promise<void> {
  await status(page)
    .filter({ hasText: `Connected as ${name} on shard` })
    .waitFor();
  await page.getByText('joined', { exact: true }).waitFor();
}

export async function shardOf(page: Page): Promise<number> {
  return Number(/shard (\d+)/.exec((await status(page).textContent()) ?? '')?.[1]);
}

export function status(page: Page): Locator {
  return page.getByRole('status', { name: 'Connection' });
}

export function messages(page: Page, text: string | RegExp): Locator {
  return page.getByRole('log').getByRole('listitem').filter({ hasText: text });
}

/** All texts of messages that are shown, in their order. */
export async function textsOf(page: Page): Promise<string[]> {
  return page.getByRole('log').locator('.text').allTextContents();
}

/**
 * Shows these messages and no others, in this order. One's own may stand there twice for a moment: sent and not answered
 * yet, and as the publication that it has become.
 */
export async function shows(page: Page, texts: string[]): Promise<void> {
  const isShown = async () => isDeepStrictEqual(await textsOf(page), texts);
  await eventually('these messages', isShown).catch(() => {}); // what is there instead is told by this:
  assert.deepEqual(await textsOf(page), texts);
}

export function tab(page: Page, name: string): Locator {
  return page.getByRole('tab', { name });
}

export async function join(page: Page, topic: string): Promise<void> {
  await page.getByLabel('Join a topic').fill(topic);
  await page.getByLabel('Join a topic').press('Enter');
  await page.getByRole('heading', { name: topic }).waitFor();
  await page.getByText('joined', { exact: true }).waitFor();
}

export async function talkTo(page: Page, user: string): Promise<void> {
  await page.getByLabel('Message a person').fill(user);
  await page.getByLabel('Message a person').press('Enter');
  await page.getByRole('heading', { name: `@${user}` }).waitFor();
}

export async function write(page: Page, text: string): Promise<void> {
  await page.getByRole('textbox', { name: 'Message to' }).fill(text);
  await page.getByRole('textbox', { name: 'Message to' }).press('Enter');
}

/** Accepted by the server: it says so, or that somebody has read it already. */
export async function isSent(page: Page, text: string): Promise<void> {
  await messages(page, text)
    .filter({ hasNotText: /sending…|Not sent/ })
    .waitFor();
}

/** Once, whatever it takes. */
export async function isSentOnce(page: Page, text: string): Promise<void> {
  await isSent(page, text);
  await isThereOnce(page, text);
}

/**
 * A home that is being restarted refuses, and so does one that has not heard yet that its store is back: then somebody
 * tries again, and it is one message all the same.
 */
export async function isSentAfterAll(page: Page, text: string): Promise<void> {
  await eventually(`${text} is sent`, async () => {
    const again = messages(page, text).getByRole('button', { name: 'Try again' });
    if ((await again.count()) > 0) await again.click();
    const settled = messages(page, text).filter({ hasNotText: /sending…|Not sent/ });
    return (await settled.count()) > 0;
  });
  await isThereOnce(page, text);
}

/** Its publication may be here before the answer that tells that it is the same. */
async function isThereOnce(page: Page, text: string): Promise<void> {
  await eventually(`${text} is there once`, async () => (await messages(page, text).count()) === 1);
}

export async function picture(page: Page, name: string): Promise<void> {
  if (pictures !== undefined) await page.screenshot({ path: `${pictures}/${name}.png` });
}

export async function close(...pages: Page[]): Promise<void> {
  await Promise.all(pages.map((page) => page.context().close()));
}

/** Collects what an element says from now on: it may pass faster than anybody can look. */
export async function listenTo(locator: Locator): Promise<() => Promise<string[]>> {
  const list = await locator.evaluateHandle((element) => {
    const said: string[] = [];
    const { MutationObserver: Observer } = globalThis as unknown as {
      MutationObserver: new (on: () => void) => { observe(on: unknown, how: object): void };
    };
    const observer = new Observer(() => said.push((element.textContent ?? '').trim()));
    observer.observe(element, { childList: true, subtree: true, characterData: true });
    return said;
  });
  return () => list.jsonValue();
}

/** The connections of a page, so that a test can cut them, hold them off, and see or change what is said. */
export class Line {
  /** Commands of the page, parsed. */
  readonly sent: { type: string; data: Record<string, unknown> }[] = [];
  /** Frames of the server, parsed. */
  readonly received: { type: string; data: Record<string, unknown> }[] = [];
  /** Changes what the page sends. */
  rewrite: (frame: string) => string = (frame) => frame;
  /** Frames of the server that do not reach the page. */
  isDeaf: (frame: string) => boolean = () => false;
  #isDown = false;
  #cut: (code?: number) => Promise<void> = async () => {};

  readonly prepare = async (page: Page): Promise<void> => {
    await page.routeWebSocket('**/ws', (socket) => {
      if (this.#isDown) return void socket.close({ code: 4000 });
      const server = socket.connectToServer();
      this.#cut = async (code) => {
        // Each end hears its own code, and not that of the other one.
        socket.onClose(() => {});
        server.onClose(() => {});
        await Promise.all([socket.close({ code: 4000 }), server.close(code === undefined ? {} : { code })]);
      };
      socket.onMessage((frame) => {
        const text = this.rewrite(String(frame));
        this.sent.push(JSON.parse(text));
        server.send(text);
      });
      server.onMessage((frame) => {
        this.received.push(JSON.parse(String(frame)));
        if (!this.isDeaf(String(frame))) socket.send(frame);
      });
    });
  };

  /** Lost, and not to be had again until `restore`. The server keeps the session, to be resumed. */
  async lose(page: Page): Promise<void> {
    await this.#end(page, undefined);
  }

  /** The same, and the server forgets the session, as it does in time: everything is to be subscribed anew. */
  async cut(page: Page): Promise<void> {
    await this.#end(page, 1000);
  }

  async #end(page: Page, code: number | undefined): Promise<void> {
    this.#isDown = true;
    await this.#cut(code);
    await status(page).filter({ hasText: 'Reconnecting' }).waitFor();
  }

  restore(): void {
    this.#isDown = false;
  }
}
