import { cleanup, configure, fireEvent, render, screen, waitFor, within } from '@testing-library/svelte';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { aCharger, aCommand, charging, FakeSite, refusal } from './fake_site.ts';

// Whole pages, on a machine that may be busy.
vi.setConfig({ testTimeout: 60_000 });
configure({ asyncUtilTimeout: 8_000 });

// Canvas is the browser's; what is drawn has tests of its own.
vi.mock('../chart/charts.ts', () => ({ LoadRangeChart: () => ({}), ConsumptionChart: () => ({}) }));
vi.hoisted(() => {
  globalThis.matchMedia = ((query: string) => ({
    ...{ matches: false, media: query, addEventListener: () => {}, removeEventListener: () => {} },
  })) as unknown as typeof matchMedia;
  const Observer = class {
    observe() {}
    unobserve() {}
    disconnect() {}
  };
  globalThis.scrollTo = () => {};
  Object.assign(globalThis, { IntersectionObserver: Observer, ResizeObserver: Observer });
});

const { session } = await import('../session.svelte.ts');
const { live } = await import('../live/connection.svelte.ts');
const { navigate } = await import('../routes.ts');
const { Router } = await import('sv-router');

let site: FakeSite;
beforeEach(() => {
  site = new FakeSite();
  site.install();
  site.loads = [{ at: Date.now() - 60_000, meanW: 7_000, maxW: 7_400, capacityW: 195_000, maxUtilisationBp: 380 }];
  localStorage.clear();
});
afterEach(() => {
  cleanup();
  live.disconnect();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

async function opened(path: '/monitoring' | `/monitoring/chargers/${string}`, query = ''): Promise<void> {
  await session.check();
  await navigate(path as '/monitoring', { search: query });
  render(Router);
  await screen.findByRole('heading', { level: 1 });
}
const rows = () =>
  [...document.querySelectorAll('tr[data-connector]')].map((row) => row.getAttribute('data-connector'));
const text = (selector: string) => document.querySelector(selector)?.textContent?.replace(/\s+/g, ' ') ?? '';

test('the site comes first: its tree, its load against its limit, and its connectors of both versions in words', async () => {
  site.add(aCharger(1, [charging()]), aCharger(2, [{ status: 'Occupied' }]), aCharger(3, [{ online: false }]));
  await opened('/monitoring');
  await waitFor(() => expect(rows()).toEqual(['CP-0001/1', 'CP-0002/1', 'CP-0003/1']));
  expect(screen.getByRole('treeitem', { name: /^demo: 7\.4 kW of 195 kW/ })).toBeTruthy();
  expect(text('[data-connector="CP-0001/1"]')).toMatch(/nord-1.*Charging.*7\.4.*6\.12/);
  expect(text('[data-connector="CP-0002/1"]')).toMatch(/sued-1.*In use/);
  expect(text('[data-connector="CP-0003/1"]')).toMatch(/Offline/);
  expect(site.asked('/api/loads')[0]?.get('node')).toBe('demo');
  site.change('station:sued-1', {
    'CP-0002/1': aCharger(2, [{ status: 'Faulted', errorCode: 'GroundFailure' }]).connectors[0],
  });
  await waitFor(() => expect(text('[data-connector="CP-0002/1"]')).toMatch(/Faulted/));
});

test('the live load moves, and the history is not asked again for it', async () => {
  site.add(aCharger(1, [charging()]));
  await opened('/monitoring');
  await screen.findByRole('treeitem', { name: /^demo: 7\.4 kW/ });
  await waitFor(() => expect(site.asked('/api/loads')).not.toEqual([]));
  for (const liveW of [7_500, 7_600, 7_700]) {
    site.draw(liveW);
    await screen.findByRole('treeitem', { name: new RegExp(`^demo: ${liveW / 1_000} kW`) });
  }
  expect(site.asked('/api/loads')).toHaveLength(1);
  expect(site.asked('/api/consumption')).toHaveLength(1);
});

test('filter and chosen node stand in the address, and an address that was sent shows the same', async () => {
  site.add(aCharger(1, [charging()]), aCharger(2), aCharger(3, [{ status: 'Faulted' }]));
  await opened('/monitoring');
  await waitFor(() => expect(rows()).toHaveLength(3));
  await fireEvent.click(within(screen.getByRole('group', { name: 'Connectors by state' })).getByText(/Need attention/));
  await waitFor(() => expect(rows()).toEqual(['CP-0003/1']));
  expect(location.search).toContain('state=attention');
  await fireEvent.input(screen.getByRole('searchbox'), { target: { value: '0042' } });
  await screen.findByText('No connector matches the filter.');
  expect(location.search).toContain('q=0042');
  await fireEvent.click(screen.getByRole('button', { name: 'Clear the filter' }));
  await waitFor(() => expect(rows()).toHaveLength(3));
  await fireEvent.click(screen.getByRole('treeitem', { name: /^sued-1/ }));
  await waitFor(() => expect(rows()).toEqual(['CP-0002/1']));
  expect(location.search).toContain('node=station');
  expect(site.asked('/api/consumption').at(-1)?.get('station')).toBe('sued-1');
  cleanup();
  await opened('/monitoring', '?node=station:nord-1&q=cp-0003');
  await waitFor(() => expect(rows()).toEqual(['CP-0003/1']));
});

test('of 500 connectors few are in the document, and each can be found', async () => {
  site.add(...Array.from({ length: 500 }, (_, i) => aCharger(i + 1)));
  await opened('/monitoring');
  await waitFor(() => expect(rows().length).toBeGreaterThan(0));
  expect(rows().length).toBeLessThan(80);
  expect(screen.getByRole('table').getAttribute('aria-rowcount')).toBe('501');
  await fireEvent.input(screen.getByRole('searchbox'), { target: { value: 'CP-0499' } });
  await waitFor(() => expect(rows()).toEqual(['CP-0499/1']));
});

test('any range can be asked for: presets, and from one moment to another; the table says the same as the chart', async () => {
  site.add(aCharger(1));
  site.consumption = [{ at: Date.parse('2019-05-15T07:00Z'), energyWh: 828_229 }];
  await opened('/monitoring');
  await fireEvent.click(await screen.findByRole('button', { name: '7 d' }));
  await waitFor(() => expect(site.asked('/api/consumption').at(-1)?.get('step')).toBe('day'));
  expect(location.search).toContain('range=7d');
  await fireEvent.click(screen.getByRole('button', { name: 'From – to' }));
  await fireEvent.input(screen.getByLabelText('From'), { target: { value: '2019-05-20T00:00' } });
  await fireEvent.input(screen.getByLabelText('To'), { target: { value: '2019-05-13T00:00' } });
  await fireEvent.click(screen.getByRole('button', { name: 'Show' }));
  await screen.findByText('The end must be after the beginning.');
  await fireEvent.input(screen.getByLabelText('From'), { target: { value: '2019-05-13T00:00' } });
  await fireEvent.input(screen.getByLabelText('To'), { target: { value: '2019-05-20T00:00' } });
  await fireEvent.click(screen.getByRole('button', { name: 'Show' }));
  const from = String(Date.parse('2019-05-13T00:00'));
  await waitFor(() => expect(site.asked('/api/loads').at(-1)?.get('from')).toBe(from));
  const [, consumption] = screen.getAllByRole('button', { name: 'Show as table' });
  await fireEvent.click(consumption as HTMLElement);
  expect(screen.getByRole('row', { name: /^15 May/ }).textContent).toContain('828.23');
  expect(screen.getByTestId('consumption-total').textContent).toContain('828.23');
});

test('a history that does not answer is an error with its code; the live part works all the same', async () => {
  site.add(aCharger(1, [charging()]));
  site.instead.set('/api/loads', refusal('history_unavailable', 503));
  site.instead.set('/api/consumption', refusal('history_unavailable', 503));
  await opened('/monitoring');
  await waitFor(() => expect(screen.getAllByText('history_unavailable')).toHaveLength(2));
  await waitFor(() => expect(rows()).toEqual(['CP-0001/1']));
});

test('who may not view chargers is told which right is missing, and no question is asked', async () => {
  site.rights = ['view_site'];
  await opened('/monitoring');
  await screen.findByText(/the right to view chargers/);
  expect(site.asked('/api/sites')).toEqual([]);
});

test('a charger shows its connectors, live samples, open session and history', async () => {
  site.add(aCharger(2, [charging(), { connector: 2 }]));
  const sample = { at: Date.now(), location: 'Outlet', context: 'Sample.Periodic' };
  site.sessions = [
    {
      ...{
        transaction: 3,
        charger: 'CP-0002',
        connector: 1,
        site: 'demo',
        station: 'sued-1',
        tag: '…042',
        state: 'ended',
      },
      ...{ startedAt: 3_600_000, endedAt: 7_200_000, energyWh: 6_600, flags: ['unfunded'], reason: 'EVDisconnected' },
    },
  ];
  await opened('/monitoring/chargers/CP-0002');
  await screen.findByText('ocpp2.0.1');
  site.change('charger:CP-0002', {
    'samples/1': {
      ...{ connector: 1, transaction: 7, receivedAt: Date.now() },
      samples: ['L1', 'L2', 'L3'].map((phase, i) => ({
        ...sample,
        ...{ measurand: 'Current.Import', phase, unit: 'A', value: String(10 + i) },
      })),
    },
  });
  const first = await screen.findByRole('region', { name: 'Connector 1' });
  await waitFor(() =>
    expect(first.textContent?.replace(/\s+/g, ' ')).toMatch(/Current.*L1 ?10\.0.*L2 ?11\.0.*L3 ?12\.0/),
  );
  expect(first.textContent).toMatch(/Open session.*…007.*6\.12/s);
  expect(screen.getByRole('region', { name: 'Connector 2' }).textContent).toMatch(/No open session/);
  await waitFor(() => expect(text('[data-session="3"]')).toMatch(/1:00.*…042.*6\.60.*EVDisconnected.*not covered/));
});

test('a reset needs the name of the charger, goes out once, and its steps are followed up to the effect', async () => {
  site.add(aCharger(1));
  await opened('/monitoring/chargers/CP-0001');
  const reset = await screen.findByRole<HTMLButtonElement>('button', { name: 'Reset the charger' });
  expect(reset.disabled).toBe(true);
  await fireEvent.click(screen.getByRole('button', { name: 'Hard' }));
  await fireEvent.input(screen.getByLabelText('Type CP-0001 to confirm'), { target: { value: 'CP-0001' } });
  await fireEvent.click(reset);
  const list = await screen.findByRole('group', { name: 'Commands' });
  await within(list).findByText('Reset: Hard');
  const posts = site.heard.filter(({ method }) => method === 'POST');
  expect(posts).toHaveLength(1);
  expect(posts[0]).toMatchObject({
    path: '/api/chargers/CP-0001/commands',
    body: { kind: 'charger.reset', mode: 'hard' },
  });
  const command = aCommand({ command: String(posts[0]?.body['id']), arguments: { mode: 'hard' } });
  const step = async (more: Parameters<typeof aCommand>[0]) =>
    site.change('charger:CP-0001', { [`command:${command.command}`]: { ...command, ...more } });
  await step({ state: 'answered', sentAt: Date.now(), answeredAt: Date.now() });
  await within(list).findByText('Answered: waits for the effect');
  expect(
    within(list)
      .getAllByRole('listitem')
      .find((item) => item.getAttribute('aria-current') === 'step')?.textContent,
  ).toMatch(/Answered/);
  await step({ state: 'failed', reason: 'no_effect', sentAt: 1, answeredAt: 1, endedAt: Date.now() });
  await within(list).findByText(/the effect was not seen in time/);
});

test('starting takes connector and card, stopping the transaction; a refusal is told in words', async () => {
  site.add(aCharger(1, [charging({ transaction: 41 }), { connector: 2 }]));
  await opened('/monitoring/chargers/CP-0001');
  await fireEvent.change(await screen.findByLabelText('Connector'), { target: { value: '2' } });
  await fireEvent.input(screen.getByLabelText('Card'), { target: { value: ' DEMO0001 ' } });
  await fireEvent.click(screen.getByRole('button', { name: 'Start' }));
  await waitFor(() =>
    expect(site.heard.at(-1)?.body).toMatchObject({ kind: 'session.requestStart', connector: 2, tag: 'DEMO0001' }),
  );
  site.instead.set('/api/chargers/CP-0001/commands', refusal('session_ended', 409));
  await fireEvent.click(screen.getByRole('button', { name: 'Stop transaction 41 on connector 1' }));
  await screen.findByText('The charging session has ended.');
  expect(site.heard.at(-1)?.body).toMatchObject({ kind: 'session.requestStop', transaction: 41 });
});

test('what the server would refuse is shut, with its reason', async () => {
  site.add({ ...aCharger(1), actions: { live: true, 'session.requestStart': 'role_missing' } });
  await opened('/monitoring/chargers/CP-0001');
  const start = await screen.findByRole<HTMLButtonElement>('button', { name: 'Start' });
  await fireEvent.input(screen.getByLabelText('Card'), { target: { value: 'DEMO0001' } });
  expect(start.disabled).toBe(true);
  expect(screen.getByText('Your role does not allow this.')).toBeTruthy();
});

test('a charger that does not exist says so', async () => {
  await opened('/monitoring/chargers/nobody');
  await screen.findByText('unknown_topic');
});

const message = (n: number, action: string, payload: unknown, direction: 'in' | 'out' = 'in') => ({
  ...{ at: n, direction, type: 'call' as const, action, messageId: `m-${n}`, payload: JSON.stringify(payload) },
  ...{ connectionSeq: 1, latencyMs: null },
});
const shownMessages = () =>
  [...document.querySelectorAll('[data-message]')].map((row) => row.getAttribute('data-message'));

test('messages are read page by page, searched and filtered by the server, and open as indented JSON', async () => {
  site.add(aCharger(1));
  site.messages = [
    message(3, 'Reset', { type: 'Soft' }, 'out'),
    message(2, 'Heartbeat', {}),
    message(1, 'BootNotification', { chargePointVendor: 'Gridtick' }),
  ];
  await opened('/monitoring/chargers/CP-0001/messages');
  await waitFor(() => expect(shownMessages()).toEqual(['m-3', 'm-2']));
  await fireEvent.click(screen.getByRole('button', { name: 'Show earlier messages' }));
  await waitFor(() => expect(shownMessages()).toEqual(['m-3', 'm-2', 'm-1']));
  const boot = screen.getByRole('button', { name: /^BootNotification at/ });
  await fireEvent.click(boot);
  expect(boot.getAttribute('aria-expanded')).toBe('true');
  expect(document.querySelector('pre')?.textContent).toBe('{\n  "chargePointVendor": "Gridtick"\n}');
  await fireEvent.click(screen.getByRole('button', { name: 'To charger' }));
  await waitFor(() => expect(shownMessages()).toEqual(['m-3']));
  expect(location.search).toContain('direction=out');
  await fireEvent.input(screen.getByRole('searchbox'), { target: { value: 'nothing' } });
  await screen.findByText(/No message matches the filter/);
  expect(site.asked('/api/chargers/CP-0001/messages').at(-1)?.get('q')).toBe('nothing');
});

test('messages that come while somebody reads wait until they are asked for', async () => {
  site.add(aCharger(1));
  site.messages = [message(1, 'Heartbeat', {})];
  vi.useFakeTimers({ shouldAdvanceTime: true });
  try {
    await opened('/monitoring/chargers/CP-0001/messages');
    await waitFor(() => expect(shownMessages()).toEqual(['m-1']));
    site.messages = [message(2, 'StatusNotification', {}), ...site.messages];
    await vi.advanceTimersByTimeAsync(5_100);
    await fireEvent.click(await screen.findByRole('button', { name: '1 new message' }));
    expect(shownMessages()).toEqual(['m-2', 'm-1']);
  } finally {
    vi.useRealTimers();
  }
});
