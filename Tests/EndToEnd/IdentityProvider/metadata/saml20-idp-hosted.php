<?php
// The provider itself. "key" names the key pair that signs, "nextKey" one that is announced and does not sign yet.
$folder = getenv('GATEHOUSE_IDP');
$provider = json_decode(file_get_contents("$folder/provider.json"), true, 16, JSON_THROW_ON_ERROR);
$unspecified = 'urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified';
$metadata[$provider['entityID']] = [
    'host' => '__DEFAULT__', 'auth' => 'people',
    'privatekey' => $provider['key'] . '.key', 'certificate' => $provider['key'] . '.crt',
    'signature.algorithm' => 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256', 'sign.logout' => true,
    'NameIDFormat' => $unspecified,
    'attributes.NameFormat' => 'urn:oasis:names:tc:SAML:2.0:attrname-format:unspecified',
    'authproc' => [
        3 => [
            'class' => 'saml:AttributeNameID', 'identifyingAttribute' => 'email', 'attribute' => 'email',
            'Format' => $unspecified,
        ],
        5 => ['class' => 'core:AttributeLimit', 'firstname', 'lastname'],
    ],
];
if (isset($provider['nextKey'])) {
    $metadata[$provider['entityID']]['new_privatekey'] = $provider['nextKey'] . '.key';
    $metadata[$provider['entityID']]['new_certificate'] = $provider['nextKey'] . '.crt';
}
