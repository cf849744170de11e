import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { inflateRawSync } from 'node:zlib';
import { SignedXml } from 'xml-crypto';

const PROTOCOL = 'urn:oasis:names:tc:SAML:2.0:protocol';
const ASSERTION = 'urn:oasis:names:tc:SAML:2.0:assertion';
const EXCLUSIVE = 'http://www.w3.org/2001/10/xml-exc-c14n#';
const SUCCESS = '<p:Status><p:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></p:Status>';
const NAME_FORMAT = 'urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified';

/** A SAML 2.0 identity provider that signs what the browser is to post (section 3.5 of the bindings). */
export class IdentityProvider {
  readonly #keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
  readonly url = 'https://idp.test/';

  /** @param audience the issuer that the application calls itself */
  constructor(private readonly audience: string) {}

  /** What the strategy trusts. */
  get certificate(): string {
    return this.#keys.publicKey.export({ type: 'spki', format: 'pem' }) as string;
  }

  /** The form of a user who has logged in, for the request at this address. */
  loggedIn(location: string, user: { id: string; name: string }): Record<string, string> {
    const { id, form } = requestAt(location);
    const until = new Date(Date.now() + 300_000).toISOString();
    const assertion = this.#sign(
      'Assertion',
      `<a:Assertion xmlns:a="${ASSERTION}" ${head()}><a:Issuer>${this.url}</a:Issuer>` +
        `<a:Subject><a:NameID Format="${NAME_FORMAT}">${user.id}</a:NameID>` +
        '<a:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">' +
        `<a:SubjectConfirmationData InResponseTo="${id}" NotOnOrAfter="${until}"/></a:SubjectConfirmation></a:Subject>` +
        `<a:Conditions NotOnOrAfter="${until}"><a:AudienceRestriction><a:Audience>${this.audience}</a:Audience>` +
        '</a:AudienceRestriction></a:Conditions>' +
        `<a:AttributeStatement><a:Attribute Name="name"><a:AttributeValue>${user.name}</a:AttributeValue>` +
        '</a:Attribute></a:AttributeStatement></a:Assertion>',
    );
    return { ...form, SAMLResponse: this.#message('Response', `InResponseTo="${id}"`, SUCCESS + assertion) };
  }

  /** The form by which it asks the application to log this user out. */
  logOut(user: { id: string }): Record<string, string> {
    const name = `<a:NameID xmlns:a="${ASSERTION}" Format="${NAME_FORMAT}">${user.id}</a:NameID>`;
    return { SAMLRequest: this.#message('LogoutRequest', '', name) };
  }

  /** The form that acknowledges the logout at this address. */
  acknowledge(location: string): Record<string, string> {
    const { id, form } = requestAt(location);
    return { ...form, SAMLResponse: this.#message('LogoutResponse', `InResponseTo="${id}"`, SUCCESS) };
  }

  #message(name: string, attributes: string, content: string): string {
    const xml = this.#sign(
      name,
      `<p:${name} xmlns:p="${PROTOCOL}" ${head()} ${attributes}>` +
        `<a:Issuer xmlns:a="${ASSERTION}">${this.url}</a:Issuer>${content}</p:${name}>`,
    );
    return Buffer.from(xml).toString('base64');
  }

  /** Signs the outermost element, which has this name. */
  #sign(name: string, xml: string): string {
    const signature = new SignedXml({
      privateKey: this.#keys.privateKey.export({ type: 'pkcs8', format: 'pem' }),
      signatureAlgorithm: 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
      canonicalizationAlgorithm: EXCLUSIVE,
    });
    signature.addReference({
      xpath: `/*[local-name()='${name}']`,
      digestAlgorithm: 'http://www.w3.org/2001/04/xmlenc#sha256',
      transforms: ['http://www.w3.org/2000/09/xmldsig#enveloped-signature', EXCLUSIVE],
    });
    signature.computeSignature(xml, { location: { reference: "/*/*[local-name()='Issuer']", action: 'after' } });
    return signature.getSignedXml();
  }
}

function head(): string {
  return `ID="_${randomUUID()}" Version="2.0" IssueInstant="${new Date().toISOString()}"`;
}

/** A request in an address (the redirect binding): its id, and what must come back with the response. */
function requestAt(location: string): { id: string; form: Record<string, string> } {
  const { searchParams } = new URL(location);
  const xml = inflateRawSync(Buffer.from(searchParams.get('SAMLRequest') ?? '', 'base64')).toString();
  const relayState = searchParams.get('RelayState');
  return { id: / ID="([^"]+)"/.exec(xml)?.[1] ?? '', form: relayState ? { RelayState: relayState } : {} };
}
