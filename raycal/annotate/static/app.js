/** The page on which people label: joins its parts, signs in and starts. */

import { onReceipts } from "./answers.js";
import { stayConnected } from "./connection.js";
import { renderActions } from "./controls.js";
import { renderSaved } from "./header.js";
import { listenToPerson } from "./inputs.js";
import { say } from "./notices.js";
import { api, outbox, page, queue } from "./page.js";
import { advance, idle } from "./stage.js";
import { patiently, start } from "./start.js";
import { onState } from "./state.js";
import { watchTabs } from "./tabs.js";

outbox.onReceipts = onReceipts;
outbox.onChange = () => {
  renderActions();
  renderSaved();
};
queue.onFilled = async () => {
  // The first questions of a project that has just opened may come before its state, which has the classes.
  if (queue.ahead.length && page.state && !page.state.is_open) onState(await api.state());
  if (queue.current || (page.splitting && !queue.ahead.some((held) => held.question.half_of === page.splitting))) return;
  if (queue.ahead.length) advance();
  else idle();
};
queue.onLost = () => {
  say("Somebody else has this question now, so here is another one.");
  advance();
};
stayConnected();
watchTabs();
listenToPerson();

if (location.hash.startsWith("#t=")) {
  const token = location.hash.slice(3);
  history.replaceState(null, "", location.pathname);
  // A wrong token is reported by the first call that needs a session.
  await patiently(() => api.signIn(token)).catch(() => {});
}
await start();
