/** What happens when this tab may not go on: it is signed out, the server was restarted, or a newer tab labels. */

import { SignedOut } from "./api.js";
import { listen, unlisten } from "./connection.js";
import { choose } from "./dialogs.js";
import { kept } from "./header.js";
import { api, ask, client, outbox, page, queue, zoom } from "./page.js";
import { start } from "./start.js";

async function signedOut() {
  if (page.choosing || page.inactive) return;
  page.choosing = true;
  outbox.stop();
  unlisten();
  for (let problem = ""; ;) {
    const { choice, text } = await choose({
      title: "Open your link to go on", name: "signed-out", must: true,
      lines: [problem || "Your session is over, or the owner has ended your access. Paste the link that you were sent, or that the command printed; without a valid one, ask the owner for a new link.",
        ...(outbox.unsent ? [kept()] : [])],
      choices: [["sign-in", "Sign in"], ["again", "Try again"]], field: "link",
    });
    try {
      if (choice === "sign-in") await api.signIn(text.split("#t=").at(-1) ?? text);
      await api.state();
      break;
    } catch (error) {
      problem = error instanceof SignedOut ? "This link is not valid for this project." : /** @type {Error} */ (error).message;
    }
  }
  page.choosing = false;
  await start();
}

async function restarted() {
  if (page.inactive) return;
  const { choice } = await ask({
    title: "The server was restarted", name: "restarted",
    lines: [`Nothing is lost. ${outbox.unsent ? kept() : "All of your answers are saved."}`, "Reload the page to be sure that it has the version of the server, or answer the question on screen first."],
    choices: [["reload", "Reload"], ["stay", "Go on here"]],
  });
  if (choice === "reload") return location.reload();
  outbox.flush();
  listen();
  void queue.fill();
}

async function takenOver() {
  if (page.inactive) return;
  page.inactive = true;
  zoom.close();
  outbox.stop();
  unlisten();
  queue.release();
  await choose({
    title: "You label in another tab", name: "other-tab", must: true,
    lines: ["This project is open in a newer tab or window. Your answers are safe; questions come to one tab at a time."],
    choices: [["here", "Label here instead"]],
  });
  page.inactive = false;
  outbox.forget();
  await start();
}

export function watchTabs() {
  api.onSignedOut = () => void signedOut();
  addEventListener("restarted", () => void restarted());
  new BroadcastChannel("raycal").onmessage = ({ data }) => {
    if (data.owner === outbox.owner && data.client !== client) void takenOver();
  };
}
