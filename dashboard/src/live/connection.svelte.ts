/** The page's one live socket as state that components read, and the clock that comes with it. */
import { LiveClient, type LiveStatus, type SocketLike } from './live.ts';
import { ownProgram, pageChanged } from './page_version.ts';
import { ServerClock } from './server_clock.ts';

export const serverClock = new ServerClock();

let status: LiveStatus = $state.raw({ state: 'idle' });
/** Counts the returns from offline to live; the pill says "caught up" once for each. */
let returns = $state(0);
let wasOffline = false;
/** The server was restarted while the page was open. */
let restarted = false;
let outdated = $state(false);
let onOffline = () => {};

export const live = new LiveClient({
  open: () => new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/live`) as SocketLike,
  onNow: (now) => serverClock.heard(now),
  onStatus: (next) => {
    status = next;
    if (next.state === 'offline') {
      wasOffline = true;
      restarted ||= next.reason === 'new_version';
      if (next.retryAt !== null) onOffline();
    } else if (next.state === 'live' && wasOffline) {
      wasOffline = false;
      returns += 1;
      if (restarted) void lookForNewPage();
    } else if (next.state === 'idle') wasOffline = false;
  },
});

async function lookForNewPage(): Promise<void> {
  restarted = false;
  outdated = await pageChanged(ownProgram(document));
  reloadWhileUnseen();
}

/** A page that nobody looks at is loaded again by itself. */
function reloadWhileUnseen(): void {
  if (outdated && document.hidden) location.reload();
}

export const connection = {
  get status() {
    return status;
  },
  get offline() {
    return status.state === 'offline' || status.state === 'ended';
  },
  get returns() {
    return returns;
  },
  /** The server gives out a newer page than this one. */
  get outdated() {
    return outdated;
  },
};

/** A refused upgrade looks like a lost line to a browser; whoever knows the sign-in looks whether it is that. */
export function whenOffline(callback: () => void): void {
  onOffline = callback;
}

/** Page and network events that decide how eagerly to connect. Returns how to stop. */
export function watchPage(): () => void {
  const visibility = () => {
    live.hide(document.hidden);
    reloadWhileUnseen();
  };
  const online = () => live.retryNow();
  const offline = () => live.networkLost();
  document.addEventListener('visibilitychange', visibility);
  window.addEventListener('online', online);
  window.addEventListener('offline', offline);
  return () => {
    document.removeEventListener('visibilitychange', visibility);
    window.removeEventListener('online', online);
    window.removeEventListener('offline', offline);
  };
}
