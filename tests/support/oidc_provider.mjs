// A certified OpenID provider for the tests: node oidc_provider.mjs '{"redirect_uris": [...], ...}'
//
// Takes any password. Prints one line of JSON with its issuer when it answers; ends when its standard input does.
import { createServer } from "node:http";
import { generateKeyPairSync } from "node:crypto";
import { Provider } from "oidc-provider";

const asked = JSON.parse(process.argv[2]);

function key(kid) {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { ...privateKey.export({ format: "jwk" }), kid, use: "sig", alg: "RS256" };
}

const server = createServer();
server.listen(asked.port ?? 0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: asked.client_id,
        client_secret: asked.client_secret,
        redirect_uris: asked.redirect_uris,
        grant_types: ["authorization_code"],
        response_types: ["code"],
      },
    ],
    claims: {
      openid: ["sub"],
      email: ["email", "email_verified"],
      profile: ["name", "preferred_username", "groups"],
    },
    findAccount: (ctx, id) => {
      const account = asked.accounts[id];
      return account && { accountId: id, claims: () => ({ sub: id, ...account }) };
    },
    pkce: { required: () => true },
    jwks: { keys: [key("first"), key("second")] },
    cookies: { keys: ["only for tests"] },
    features: { devInteractions: { enabled: true } },
  });
  server.on("request", provider.callback());
  console.log(JSON.stringify({ issuer }));
});

process.stdin.on("end", () => process.exit(0)).resume();
